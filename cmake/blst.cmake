# blst, the BLS12-381 library, from its source inside the pinned `ckzg` source distribution:
# no package registry carries blst as a library of its own. Set BLST_SOURCE_DIR to use another copy.
set(CKZG_VERSION 2.1.8)
set(CKZG_SHA256 d7bef6b425dca6995457fc59fc5b30211d9b28cbbeee0e7a7bef1372e13f29ca)
set(BLST_SOURCE_DIR "" CACHE PATH "blst source tree; empty: download the pinned one")

if(NOT BLST_SOURCE_DIR)
  set(blst_download ${PROJECT_SOURCE_DIR}/build/_blst)
  set(archive ${blst_download}/ckzg-${CKZG_VERSION}.tar.gz)
  if(NOT EXISTS ${archive})
    message(STATUS "Downloading blst (ckzg ${CKZG_VERSION} source distribution)")
    execute_process(
      COMMAND ${Python_EXECUTABLE} -m pip download --quiet --no-deps --no-binary ckzg
              --dest ${blst_download} ckzg==${CKZG_VERSION}
      RESULT_VARIABLE failed)
    if(failed)
      message(FATAL_ERROR "Could not download ckzg ${CKZG_VERSION}; set BLST_SOURCE_DIR to a blst source tree.")
    endif()
  endif()
  file(SHA256 ${archive} actual)
  if(NOT actual STREQUAL CKZG_SHA256)
    message(FATAL_ERROR "${archive} has SHA-256 ${actual}, expected ${CKZG_SHA256}. Delete it and try again.")
  endif()
  file(ARCHIVE_EXTRACT INPUT ${archive} DESTINATION ${blst_download}
       PATTERNS "*/blst/src/*" "*/blst/build/*" "*/blst/bindings/blst*.h")
  set(BLST_SOURCE_DIR ${blst_download}/ckzg-${CKZG_VERSION}/blst)
endif()

add_library(blst STATIC ${BLST_SOURCE_DIR}/src/server.c ${BLST_SOURCE_DIR}/build/assembly.S)
target_include_directories(blst SYSTEM PUBLIC ${BLST_SOURCE_DIR}/bindings)
# Portable: the CPU's features are looked up at run time, never assumed.
target_compile_definitions(blst PRIVATE __BLST_PORTABLE__)
target_compile_options(blst PRIVATE -O2 -fno-builtin)
set_target_properties(blst PROPERTIES POSITION_INDEPENDENT_CODE ON)
