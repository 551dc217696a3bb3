# Installs the build to a temporary prefix and uses it as a stranger would, in three ways. Run by ctest:
#   cmake -D BUILD_DIR=... -D SOURCE_DIR=... -D WORK_DIR=... -D MODEL=... -D CC=... -D CXX=... -D GENERATOR=...
#         -D WAY=... -P run.cmake
# WAY: cmake (find_package), pkg-config (a C++ and a C program), symbols (what a shared library made of it
# would export).
cmake_minimum_required(VERSION 3.25)

function(step)
  execute_process(COMMAND ${ARGV} COMMAND_ECHO STDOUT RESULT_VARIABLE result)
  if(result)
    message(FATAL_ERROR "This step failed with ${result}.")
  endif()
endfunction()

set(prefix "${WORK_DIR}/${WAY} prefix")
set(build "${WORK_DIR}/${WAY} build")
file(REMOVE_RECURSE "${prefix}" "${build}")
file(MAKE_DIRECTORY "${build}")
step("${CMAKE_COMMAND}" --install "${BUILD_DIR}" --prefix "${prefix}")

if(WAY STREQUAL "cmake")
  step("${CMAKE_COMMAND}" -S "${SOURCE_DIR}" -B "${build}" -G "${GENERATOR}" "-DCMAKE_PREFIX_PATH=${prefix}"
       "-DCMAKE_CXX_COMPILER=${CXX}" "-DCMAKE_C_COMPILER=${CC}")
  step("${CMAKE_COMMAND}" --build "${build}")
  step("${build}/example" "${MODEL}")
  step("${build}/c_example" "${MODEL}")
  return()
endif()

file(GLOB_RECURSE pc "${prefix}/thimble.pc")
get_filename_component(pc_dir "${pc}" DIRECTORY)
set(ENV{PKG_CONFIG_PATH} "${pc_dir}")
execute_process(COMMAND pkg-config --cflags --libs thimble
                OUTPUT_VARIABLE flags OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
separate_arguments(flags UNIX_COMMAND "${flags}")

if(WAY STREQUAL "pkg-config")
  step("${CXX}" -std=c++20 -Wall -Wextra -Werror "${SOURCE_DIR}/example.cc" -o "${build}/example" ${flags})
  step("${build}/example" "${MODEL}")
  step("${CC}" -std=c11 -Wall -Wextra -Werror "${SOURCE_DIR}/c_example.c" -o "${build}/c_example" ${flags})
  step("${build}/c_example" "${MODEL}")
elseif(WAY STREQUAL "symbols")
  file(GLOB_RECURSE library "${prefix}/libthimble.a")
  step("${CXX}" -shared -Wl,--whole-archive "${library}" -Wl,--no-whole-archive -lm -pthread
       -o "${build}/libthimble.so")
  execute_process(COMMAND nm -D --defined-only "${build}/libthimble.so"
                  OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCHALL "[^\n]+" symbols "${symbols}")
  set(own 0)
  foreach(symbol IN LISTS symbols)
    # Weak ones (W, V, u) are what the standard library's templates leave behind.
    if(symbol MATCHES " [TDBRi] (.*)$")
      if(CMAKE_MATCH_1 MATCHES "^thimble_")
        math(EXPR own "${own} + 1")
      else()
        message(SEND_ERROR "Exported, but not part of the C interface: ${CMAKE_MATCH_1}")
      endif()
    endif()
  endforeach()
  if(own EQUAL 0)
    message(SEND_ERROR "The C interface is not exported at all.")
  endif()
  message(STATUS "${own} functions of the C interface are exported, nothing else.")
endif()
