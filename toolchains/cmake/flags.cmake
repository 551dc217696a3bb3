# Compile flags of our own targets, as two INTERFACE targets, so that neither dependencies nor embedders
# inherit them.
#
#   thimble_flags           everything we write: language, warnings, no contraction of a*b+c (sums must be
#                           the same on every machine), includes by path from the project's root
#   thimble_library_flags   the layers that end in libthimble.a: also no exceptions, no RTTI, hidden symbols

add_library(thimble_flags INTERFACE)
target_compile_features(thimble_flags INTERFACE cxx_std_20)
target_include_directories(thimble_flags INTERFACE "${PROJECT_SOURCE_DIR}")
target_compile_options(thimble_flags INTERFACE
  -Wall -Wextra -ffp-contract=off
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
