# Compile flags of our own targets, as two INTERFACE targets, so that neither dependencies nor embedders
# inherit them.
#
#   thimble_flags           everything we write: language, warnings, no contraction of a*b+c (sums must be
#                           the same on every machine)
#   thimble_library_flags   the layers that end in libthimble.a: also no exceptions, no RTTI, hidden symbols
#   thimble_compiles_small(file...)   see there
#   thimble_sees(target path...)   what the target's sources may include, by paths from the project's root

add_library(thimble_flags INTERFACE)
target_compile_features(thimble_flags INTERFACE cxx_std_20)
target_compile_options(thimble_flags INTERFACE
  -Wall -Wextra -ffp-contract=off
  # 32-bit systems see files as 64-bit ones do; gcc tells of an old change in how small structs are passed.
  $<$<EQUAL:${CMAKE_SIZEOF_VOID_P},4>:-D_FILE_OFFSET_BITS=64>
  $<$<AND:$<EQUAL:${CMAKE_SIZEOF_VOID_P},4>,$<COMPILE_LANG_AND_ID:CXX,GNU>>:-Wno-psabi>
  # gcc 12 sees overlapping copies inside std::string's operator+ where there are none.
  $<$<AND:$<COMPILE_LANG_AND_ID:CXX,GNU>,$<VERSION_LESS:$<CXX_COMPILER_VERSION>,13>>:-Wno-restrict>
  # gcc 13 and later suspect every function that takes a temporary and gives back a reference.
  $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-dangling-reference>
  # File names in messages start at the project's root, whatever machine built it.
  "-ffile-prefix-map=${PROJECT_SOURCE_DIR}/=")

add_library(thimble_library_flags INTERFACE)
target_link_libraries(thimble_library_flags INTERFACE thimble_flags)
target_compile_options(thimble_library_flags INTERFACE
  -fvisibility=hidden -ffunction-sections -fdata-sections
  $<$<COMPILE_LANGUAGE:CXX>:-fno-exceptions -fno-rtti -fvisibility-inlines-hidden>)

# thimble_compiles_small(file...): files whose time is that of a load or a call, not of a token; apps count the bytes.
function(thimble_compiles_small)
  set_property(SOURCE ${ARGN} APPEND PROPERTY COMPILE_OPTIONS "$<$<CONFIG:Release>:-Os>")
endfunction()

# The include directory of a target is a folder of links to what its layer may include, so that an include which
# goes up is not found. (Finer rules, folder by folder: tests/tree.)
function(thimble_sees target)
  set(dir "${PROJECT_BINARY_DIR}/include/${target}")
  file(REMOVE_RECURSE "${dir}")
  set(paths ${ARGN})
  if("runtime/core" IN_LIST paths)
    list(APPEND paths runtime/include/thimble/codes.h)  # the library's codes are the public ones
  endif()
  foreach(path IN LISTS paths)
    cmake_path(GET path PARENT_PATH parent)
    file(MAKE_DIRECTORY "${dir}/${parent}")
    file(CREATE_LINK "${PROJECT_SOURCE_DIR}/${path}" "${dir}/${path}" SYMBOLIC)
  endforeach()
  target_include_directories(${target} PRIVATE "${dir}")
  target_compile_options(${target} PRIVATE "-ffile-prefix-map=${dir}/=")
endfunction()

set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 11)

# Sanitizers are for the whole build, dependencies included: half-instrumented C++ containers give false
# reports.
if(THIMBLE_SANITIZE)
  add_compile_options("-fsanitize=${THIMBLE_SANITIZE}" -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options("-fsanitize=${THIMBLE_SANITIZE}")
endif()
