# Installs the build to a temporary prefix and uses it as a stranger would, in three ways. Run by ctest:
#   cmake -D BUILD_DIR=... -D SOURCE_DIR=... -D WORK_DIR=... -D MODEL=... -D CC=... -D CXX=... -D GENERATOR=...
#         -D WAY=... -D NM=... -D SHARED=... -P run.cmake
# WAY: cmake (find_package), pkg-config (a C++ and a C program), symbols (the names that the libraries define).
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
  step("${build}/beside_another" "${MODEL}")
  if(SHARED)
    step("${build}/shared_example" "${MODEL}")
  endif()
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
  if(SHARED)
    execute_process(COMMAND pkg-config --cflags --libs thimble-shared
                    OUTPUT_VARIABLE flags OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
    separate_arguments(flags UNIX_COMMAND "${flags}")
    get_filename_component(library_dir "${pc_dir}" DIRECTORY)
    step("${CC}" -std=c11 -Wall -Wextra -Werror "${SOURCE_DIR}/c_example.c" -o "${build}/shared_example" ${flags}
         "-Wl,-rpath,${library_dir}")
    step("${build}/shared_example" "${MODEL}")
  endif()
elseif(WAY STREQUAL "symbols")
  # Sets the list `names` to what the file defines for others to link with.
  function(global_symbols file)
    execute_process(COMMAND "${NM}" --defined-only --extern-only ${ARGN} "${file}"
                    OUTPUT_VARIABLE text COMMAND_ERROR_IS_FATAL ANY)
    string(REGEX MATCHALL "[0-9a-f]+ [A-Za-z] [^\n]+" lines "${text}")
    list(TRANSFORM lines REPLACE "^[0-9a-f]+ [A-Za-z] " "")
    list(REMOVE_DUPLICATES lines)
    set(names "${lines}" PARENT_SCOPE)
  endfunction()
  function(expect_only allowed what)
    set(own ${names})
    list(FILTER own INCLUDE REGEX "^thimble_[a-z_]+$")
    list(LENGTH own count)
    if(count LESS 20)
      message(SEND_ERROR "${what}: the C interface is not there.")
    endif()
    list(FILTER names EXCLUDE REGEX "${allowed}")
    foreach(name IN LISTS names)
      message(SEND_ERROR "${what} has a symbol that another library may have, too: ${name}")
    endforeach()
  endfunction()

  # In the archive every name is ours, or one of the standard library's templates (the same in every program).
  file(GLOB_RECURSE archive "${prefix}/libthimble.a")
  global_symbols("${archive}")
  expect_only("^(thimble_|Thimble|_Z[A-Z]*(N[A-Z]*7thimble|N[A-Z]*19thimble_flatbuffers|N?K?St|N[A-Z]*St))" "libthimble.a")

  # What a shared library that somebody makes of it exports, and what ours does.
  step("${CXX}" -shared -Wl,--whole-archive "${archive}" -Wl,--no-whole-archive -lm -pthread
       -o "${build}/libmade.so")
  global_symbols("${build}/libmade.so" -D)
  expect_only("^(thimble_[a-z_]+$|_Z[A-Z]*N?K?St)" "a shared library made of libthimble.a")
  if(SHARED)
    file(GLOB_RECURSE library "${prefix}/libthimble.so")
    global_symbols("${library}" -D)
    expect_only("^thimble_[a-z_]+$" "libthimble.so")
  endif()
endif()
