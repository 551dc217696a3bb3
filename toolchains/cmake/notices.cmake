# THIRD_PARTY_NOTICES: the licences of everything that is linked in, from the sources that are linked in.
#
#   THIMBLE_NOTICES   the file, written when CMake runs; installed, and printed by `thimble --licenses`
#   thimble_notices   target: include directory of notices.inc, the same text as a C++ string

set(THIMBLE_NOTICES "${PROJECT_BINARY_DIR}/THIRD_PARTY_NOTICES")
set(notices_text "What thimble is linked with, and under which licences.\n")

# thimble_notice("Name" file "where it is used")
function(thimble_notice name file use)
  file(READ "${file}" licence)
  string(REPEAT "=" 100 line)
  set(notices_text "${notices_text}\n${line}\n${name} (${use})\n${line}\n\n${licence}" PARENT_SCOPE)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${file}")
endfunction()

thimble_notice("XNNPACK" "${THIMBLE_XNNPACK_DIR}/LICENSE" "the library: matrix multiplication kernels")
thimble_notice("pthreadpool" "${THIMBLE_PTHREADPOOL_DIR}/LICENSE" "the library: the thread pool")
thimble_notice("FXdiv" "${THIMBLE_FXDIV_DIR}/LICENSE" "the library: division in the thread pool")
thimble_notice("FlatBuffers" "${THIMBLE_FLATBUFFERS_DIR}/LICENSE" "the library: the header of model files")
thimble_notice("Unicode Character Database 15.0.0" "${PROJECT_SOURCE_DIR}/runtime/core/unicode/LICENSE.unicode"
               "the library: tables of the tokenizer")
if(THIMBLE_BUILD_CLI)
  thimble_notice("yyjson" "${THIMBLE_YYJSON_DIR}/LICENSE" "the program thimble")
  thimble_notice("CLI11" "${THIMBLE_CLI11_DIR}/LICENSE" "the program thimble")
  thimble_notice("zlib and minizip" "${THIMBLE_ZLIB_DIR}/LICENSE" "the program thimble")
  if(TARGET thimble_dep_libedit)
    thimble_notice("libedit" "${THIMBLE_LIBEDIT_DIR}/COPYING" "the program thimble: editing of lines in `thimble chat`")
  endif()
endif()

file(CONFIGURE OUTPUT "${THIMBLE_NOTICES}" CONTENT "@notices_text@" @ONLY)
file(CONFIGURE OUTPUT "${PROJECT_BINARY_DIR}/notices/notices.inc" CONTENT "R\"~~~~(@notices_text@)~~~~\"\n" @ONLY)
add_library(thimble_notices INTERFACE)
target_include_directories(thimble_notices INTERFACE "${PROJECT_BINARY_DIR}/notices")
