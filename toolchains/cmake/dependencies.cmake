# Targets for the sources that toolchains/fetch.sh unpacked. Nothing is downloaded here, and nothing of a
# dependency's own build is used: the few files that we compile are listed.
#
#   thimble_dep_flatbuffers   include directory (format)
#   thimble_dep_yyjson        static library, reading only (targets/json)
#   thimble_dep_cli11         static library (targets/cli)
#   thimble_dep_libedit       static library, where its sources could be had (targets/cli): libedit.cmake
#   thimble_dep_minizip       static library: ZIP archives, reading only, and zlib's inflate (targets/convert)
#   Catch2::Catch2WithMain    static library (tests)
#   thimble_flatc             the schema compiler as a host tool, built only when something needs it
#   THIMBLE_XNNPACK_DIR, THIMBLE_PTHREADPOOL_DIR, THIMBLE_FXDIV_DIR   source folders (ops/xnnpack, ops/pool alone)

# thimble_dependency_dir(NAME VARIABLE): VARIABLE is the folder of the unpacked sources, which must be there.
function(thimble_dependency_dir name variable)
  set(dir "${THIMBLE_DEPS_DIR}/${name}")
  if(NOT EXISTS "${dir}/.thimble-sha256")
    message(FATAL_ERROR "The sources of ${name} are not in ${THIMBLE_DEPS_DIR}: run `sh toolchains/fetch.sh` "
                        "first (or set THIMBLE_DEPS_DIR to a folder that it filled).")
  endif()
  # A lock file that moved on since the last fetch is an error here, not a strange one in the compiler later.
  file(STRINGS "${PROJECT_SOURCE_DIR}/toolchains/dependencies.lock" line REGEX "^${name}[ ]")
  file(READ "${dir}/.thimble-sha256" sha256)
  string(STRIP "${sha256}" sha256)
  if(NOT line MATCHES " ${sha256} ")
    message(FATAL_ERROR "The sources of ${name} in ${THIMBLE_DEPS_DIR} are not the pinned ones: run "
                        "`sh toolchains/fetch.sh`.")
  endif()
  set(${variable} "${dir}" PARENT_SCOPE)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${dir}/.thimble-sha256")
endfunction()

function(thimble_header_dependency target dir)
  add_library(${target} INTERFACE)
  target_include_directories(${target} SYSTEM INTERFACE "${dir}")
endfunction()

set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
  "${PROJECT_SOURCE_DIR}/toolchains/dependencies.lock")
thimble_dependency_dir(xnnpack THIMBLE_XNNPACK_DIR)
thimble_dependency_dir(pthreadpool THIMBLE_PTHREADPOOL_DIR)
thimble_dependency_dir(fxdiv THIMBLE_FXDIV_DIR)
thimble_dependency_dir(flatbuffers THIMBLE_FLATBUFFERS_DIR)
thimble_header_dependency(thimble_dep_flatbuffers "${THIMBLE_FLATBUFFERS_DIR}/include")
# Its templates become functions of libthimble.a: under a name of ours, or a program's other version might be taken.
target_compile_definitions(thimble_dep_flatbuffers INTERFACE flatbuffers=thimble_flatbuffers)

if(THIMBLE_BUILD_CONVERT OR THIMBLE_BUILD_CLI OR THIMBLE_BUILD_TESTS)
  thimble_dependency_dir(cli11 THIMBLE_CLI11_DIR)
  thimble_dependency_dir(yyjson THIMBLE_YYJSON_DIR)
  add_library(thimble_dep_yyjson STATIC EXCLUDE_FROM_ALL "${THIMBLE_YYJSON_DIR}/src/yyjson.c")
  target_include_directories(thimble_dep_yyjson SYSTEM PUBLIC "${THIMBLE_YYJSON_DIR}/src")
  target_compile_definitions(thimble_dep_yyjson PUBLIC YYJSON_DISABLE_WRITER YYJSON_DISABLE_UTILS)
  # 4 processor seconds instead of 9, and reading takes as long.
  target_compile_options(thimble_dep_yyjson PRIVATE -w -O1)

  # Compiled once: as headers alone it takes 7 processor seconds in every file.
  add_library(thimble_dep_cli11 STATIC EXCLUDE_FROM_ALL "${THIMBLE_CLI11_DIR}/src/Precompile.cpp")
  target_include_directories(thimble_dep_cli11 SYSTEM PUBLIC "${THIMBLE_CLI11_DIR}/include")
  target_compile_definitions(thimble_dep_cli11 PUBLIC CLI11_COMPILE)
  target_compile_options(thimble_dep_cli11 PRIVATE -w -O1 -g0)

  thimble_dependency_dir(zlib THIMBLE_ZLIB_DIR)
  set(minizip_sources adler32 crc32 inffast inflate inftrees zutil contrib/minizip/ioapi contrib/minizip/unzip)
  list(TRANSFORM minizip_sources PREPEND "${THIMBLE_ZLIB_DIR}/")
  list(TRANSFORM minizip_sources APPEND ".c")
  add_library(thimble_dep_minizip STATIC EXCLUDE_FROM_ALL ${minizip_sources})
  target_include_directories(thimble_dep_minizip SYSTEM PUBLIC "${THIMBLE_ZLIB_DIR}" "${THIMBLE_ZLIB_DIR}/contrib")
  target_compile_definitions(thimble_dep_minizip PRIVATE NOUNCRYPT HAVE_UNISTD_H)
  target_compile_options(thimble_dep_minizip PRIVATE -w)
endif()
if(THIMBLE_BUILD_CLI)
  include("${CMAKE_CURRENT_LIST_DIR}/libedit.cmake")
endif()

if(THIMBLE_BUILD_TESTS)
  thimble_dependency_dir(catch2 THIMBLE_CATCH2_DIR)
  # One translation unit instead of a hundred; the headers are those of src/, so that tests include only what
  # they use.
  set(CATCH_CONFIG_DEFAULT_REPORTER "console")
  set(CATCH_CONFIG_CONSOLE_WIDTH 110)
  configure_file("${THIMBLE_CATCH2_DIR}/src/catch2/catch_user_config.hpp.in"
                 "${PROJECT_BINARY_DIR}/catch2/catch2/catch_user_config.hpp")
  add_library(Catch2WithMain STATIC EXCLUDE_FROM_ALL "${THIMBLE_CATCH2_DIR}/extras/catch_amalgamated.cpp")
  add_library(Catch2::Catch2WithMain ALIAS Catch2WithMain)
  target_include_directories(Catch2WithMain SYSTEM PUBLIC
    "${THIMBLE_CATCH2_DIR}/src" "${PROJECT_BINARY_DIR}/catch2")
  target_compile_options(Catch2WithMain PRIVATE -w -O1 -g0)
endif()

# Only the C++ generator, the parser and a small main function of our own: six files instead of flatc's forty.
if(NOT CMAKE_CROSSCOMPILING)
  set(flatbuffers_sources code_generators idl_gen_cpp idl_gen_text idl_parser util)
  list(TRANSFORM flatbuffers_sources PREPEND "${THIMBLE_FLATBUFFERS_DIR}/src/")
  list(TRANSFORM flatbuffers_sources APPEND ".cpp")
  add_executable(thimble_flatc EXCLUDE_FROM_ALL
    "${PROJECT_SOURCE_DIR}/toolchains/flatc.cc" ${flatbuffers_sources})
  target_include_directories(thimble_flatc PRIVATE
    "${THIMBLE_FLATBUFFERS_DIR}" "${THIMBLE_FLATBUFFERS_DIR}/include" "${THIMBLE_FLATBUFFERS_DIR}/src")
  target_compile_options(thimble_flatc PRIVATE -w -O0 -g0)
endif()
