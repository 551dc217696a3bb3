# thimble_add_test(NAME test_x SOURCES a.cc b.cc [LIBS thimble ...] [LABELS ...] [TIMEOUT seconds])
#
# One executable with Catch2's main function; every test case becomes a ctest test of the name `test_x: case`.
# The cases are listed when ctest starts, through the emulator in a cross build, and not while building. A
# case that calls SKIP is shown as skipped; one with the tag [slow] is left out where the processor is
# emulated, and with ThreadSanitizer only those with the tag [threads] are there. Tests read files through two definitions:
#   THIMBLE_GOLDEN_DIR             tests/golden, committed
#   THIMBLE_SHARED_DATA_DEFAULT    larger data beside the checkout, may be absent; the environment variable
#                                  THIMBLE_SHARED_DATA wins

set(THIMBLE_SHARED_DATA_DEFAULT "${PROJECT_SOURCE_DIR}/../shared/data" CACHE PATH
    "Larger test data, may be absent")
cmake_path(NORMAL_PATH THIMBLE_SHARED_DATA_DEFAULT)

function(thimble_add_test)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "NAME;TIMEOUT" "SOURCES;LIBS;LABELS")
  if(arg_UNPARSED_ARGUMENTS OR NOT arg_NAME OR NOT arg_SOURCES)
    message(FATAL_ERROR "thimble_add_test needs NAME and SOURCES; not understood: ${arg_UNPARSED_ARGUMENTS}")
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 600)
  endif()
  add_executable(${arg_NAME} ${arg_SOURCES})
  target_link_libraries(${arg_NAME} PRIVATE ${arg_LIBS} thimble_flags Catch2::Catch2WithMain)
  target_compile_definitions(${arg_NAME} PRIVATE
    "THIMBLE_SHARED_DATA_DEFAULT=\"${THIMBLE_SHARED_DATA_DEFAULT}\""
    "THIMBLE_GOLDEN_DIR=\"${PROJECT_SOURCE_DIR}/tests/golden\"")
  # Tests are built more often than run. (And gcc 12 for aarch64 breaks down vectorising some of them at -O3.)
  target_compile_options(${arg_NAME} PRIVATE $<$<NOT:$<CONFIG:Debug>>:-O1>)
  set(properties TIMEOUT ${arg_TIMEOUT})
  if(arg_LABELS)
    list(APPEND properties LABELS "${arg_LABELS}")
  endif()
  set(spec)
  if(CMAKE_CROSSCOMPILING)
    set(spec TEST_SPEC "~[slow]")
  elseif(THIMBLE_SANITIZE MATCHES "thread")
    set(spec TEST_SPEC "[threads]")
  endif()
  catch_discover_tests(${arg_NAME} ${spec} TEST_PREFIX "${arg_NAME}: " DISCOVERY_MODE PRE_TEST
                       PROPERTIES ${properties})
endfunction()

if(THIMBLE_BUILD_TESTS)
  include("${THIMBLE_CATCH2_DIR}/extras/Catch.cmake")
endif()
