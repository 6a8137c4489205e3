// sum += sum_i x[i] y[i] over 256-bit numbers, for processors with BMI2 and ADX (fr_products.h):
// all nine words of the sum stay in registers, and the two carry chains of adcx and adox run side by
// side.

#if defined(__x86_64__) && defined(__ELF__)

    .text
    .globl zkpfl_multiply_add_adx
    .hidden zkpfl_multiply_add_adx
    .type zkpfl_multiply_add_adx, @function

// One word of y (in %rbp) times x (in %rsi), onto the words a … e of the sum; the carries of both
// chains go on through the words above.
.macro product offset, a, b, c, d, e
    movq \offset(%rbp), %rdx
    xorl %ecx, %ecx
    mulxq 0(%rsi), %rax, %rbx
    adcxq %rax, \a
    adoxq %rbx, \b
    mulxq 8(%rsi), %rax, %rbx
    adcxq %rax, \b
    adoxq %rbx, \c
    mulxq 16(%rsi), %rax, %rbx
    adcxq %rax, \c
    adoxq %rbx, \d
    mulxq 24(%rsi), %rax, %rbx
    adcxq %rax, \d
    adoxq %rbx, \e
    adcxq %rcx, \e
.endm

.macro carry word
    adoxq %rcx, \word
    adcxq %rcx, \word
.endm

// void zkpfl_multiply_add_adx(std::uint64_t sum[9], const Scalar* x, const Scalar* y,
//                             std::size_t count), count > 0
zkpfl_multiply_add_adx:
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    pushq %rdi
    pushq %rcx
    movq %rdx, %rbp
    movq 0(%rdi), %r8
    movq 8(%rdi), %r9
    movq 16(%rdi), %r10
    movq 24(%rdi), %r11
    movq 32(%rdi), %r12
    movq 40(%rdi), %r13
    movq 48(%rdi), %r14
    movq 56(%rdi), %r15
    movq 64(%rdi), %rdi
1:
    product 0, %r8, %r9, %r10, %r11, %r12
    carry %r13
    carry %r14
    carry %r15
    carry %rdi
    product 8, %r9, %r10, %r11, %r12, %r13
    carry %r14
    carry %r15
    carry %rdi
    product 16, %r10, %r11, %r12, %r13, %r14
    carry %r15
    carry %rdi
    product 24, %r11, %r12, %r13, %r14, %r15
    carry %rdi
    addq $32, %rsi
    addq $32, %rbp
    decq (%rsp)
    jnz 1b
    popq %rcx
    popq %rcx
    movq %r8, 0(%rcx)
    movq %r9, 8(%rcx)
    movq %r10, 16(%rcx)
    movq %r11, 24(%rcx)
    movq %r12, 32(%rcx)
    movq %r13, 40(%rcx)
    movq %r14, 48(%rcx)
    movq %r15, 56(%rcx)
    movq %rdi, 64(%rcx)
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    ret
    .size zkpfl_multiply_add_adx, . - zkpfl_multiply_add_adx

    .section .note.GNU-stack, "", @progbits

#endif
