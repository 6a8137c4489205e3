# What the package contains but the repository does not: message classes and the compiled contract.
file(GLOB protos CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/proto/zkpfl/v1/*.proto)
if(protos)
  set(pb_dir ${CMAKE_CURRENT_BINARY_DIR}/_pb)
  add_custom_command(
    OUTPUT ${pb_dir}/.stamp
    COMMAND ${CMAKE_COMMAND} -E rm -rf ${pb_dir}  # what a removed .proto left behind
    COMMAND ${CMAKE_COMMAND} -E make_directory ${pb_dir}
    COMMAND ${Python_EXECUTABLE} ${PROJECT_SOURCE_DIR}/cmake/generate_pb.py ${PROJECT_SOURCE_DIR}/proto ${pb_dir}
    COMMAND ${CMAKE_COMMAND} -E touch ${pb_dir}/.stamp
    DEPENDS ${protos} ${PROJECT_SOURCE_DIR}/cmake/generate_pb.py
    VERBATIM)
  add_custom_target(pb ALL DEPENDS ${pb_dir}/.stamp)
  install(DIRECTORY ${pb_dir}/ DESTINATION rpc/_pb FILES_MATCHING PATTERN "*.py" PATTERN "*.pyi")
endif()

file(GLOB contracts CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/zkpfl/ledger/*.vy)
if(contracts)
  set(contract_json ${CMAKE_CURRENT_BINARY_DIR}/contract.json)
  add_custom_command(
    OUTPUT ${contract_json}
    COMMAND ${Python_EXECUTABLE} ${PROJECT_SOURCE_DIR}/cmake/compile_contract.py
            ${PROJECT_SOURCE_DIR}/src/zkpfl/ledger ${contract_json}
    DEPENDS ${contracts} ${PROJECT_SOURCE_DIR}/cmake/compile_contract.py
    VERBATIM)
  add_custom_target(contract ALL DEPENDS ${contract_json})
  install(FILES ${contract_json} DESTINATION ledger)
endif()
