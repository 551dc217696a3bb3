# thimble_dep_libedit: line editing and history for `thimble chat`, a static library from the pinned sources. There is no such target
# where fetch.sh could not have them, and on Android; lines are then read as they come.
#
# Upstream asks a configure script, and a termcap library for what the terminal can. The first is the list of facts below, true of
# every system we build for; the second is targets/cli/chat/terminal_capabilities, so that a cross build needs no package.

set(THIMBLE_LIBEDIT_DIR "${THIMBLE_DEPS_DIR}/libedit" CACHE PATH "Sources of libedit")
if(ANDROID OR NOT EXISTS "${THIMBLE_LIBEDIT_DIR}/.thimble-sha256")
  if(NOT ANDROID)
    message(STATUS "No libedit in ${THIMBLE_DEPS_DIR}: `thimble chat` will have no line editing (sh toolchains/fetch.sh brings it)")
  endif()
  return()
endif()

# Tables of the editing commands, made by upstream's script from the sources.
set(libedit_src "${THIMBLE_LIBEDIT_DIR}/src")
set(libedit_made "${PROJECT_BINARY_DIR}/libedit")
function(thimble_libedit_header name flag)
  execute_process(COMMAND sh "${libedit_src}/makelist" ${flag} ${ARGN} OUTPUT_FILE "${libedit_made}/${name}.part"
                  WORKING_DIRECTORY "${libedit_made}" COMMAND_ERROR_IS_FATAL ANY)
  file(COPY_FILE "${libedit_made}/${name}.part" "${libedit_made}/${name}" ONLY_IF_DIFFERENT)
endfunction()
file(MAKE_DIRECTORY "${libedit_made}/include")
foreach(name vi emacs common)
  thimble_libedit_header(${name}.h -h "${libedit_src}/${name}.c")
endforeach()
thimble_libedit_header(fcns.h -fh vi.h emacs.h common.h)
thimble_libedit_header(func.h -fc vi.h emacs.h common.h)
thimble_libedit_header(help.h -bh "${libedit_src}/vi.c" "${libedit_src}/emacs.c" "${libedit_src}/common.c")
file(CONFIGURE OUTPUT "${libedit_made}/config.h" CONTENT [[
#define HAVE_SECURE_GETENV 1
#define HAVE_SIZE_MAX 1
#define HAVE_STDINT_H 1
#define HAVE_SYS_TYPES_H 1
#define HAVE_TERMCAP_H 1
#define HAVE_U_INT32_T 1
#define HAVE_WCSDUP 1
#define HAVE_GETLINE 1
#define SCCSID
#define lint
#include "sys.h"
]] @ONLY)

set(libedit_sources chared common el eln emacs hist keymacro map chartype parse prompt read refresh search sig terminal tty vi literal
    reallocarr tokenizer tokenizern history historyn strlcpy strlcat vis unvis)
list(TRANSFORM libedit_sources PREPEND "${libedit_src}/")
list(TRANSFORM libedit_sources APPEND ".c")
set(capabilities "${PROJECT_SOURCE_DIR}/targets/cli/chat/terminal_capabilities")
add_library(thimble_dep_libedit STATIC EXCLUDE_FROM_ALL ${libedit_sources} "${capabilities}/termcap.c")
# The one public header alone; the others are called like the system's. The one file that includes it names the folder, so that all others
# are compiled alike with and without.
file(COPY_FILE "${libedit_src}/histedit.h" "${libedit_made}/include/histedit.h" ONLY_IF_DIFFERENT)
set(THIMBLE_LIBEDIT_INCLUDE "${libedit_made}/include")
target_include_directories(thimble_dep_libedit PRIVATE "${libedit_made}" "${libedit_src}" "${capabilities}" "${PROJECT_SOURCE_DIR}")
target_compile_definitions(thimble_dep_libedit PRIVATE _GNU_SOURCE)
target_compile_options(thimble_dep_libedit PRIVATE -w -O1)
