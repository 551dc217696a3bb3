# What a header promises to programs that are already compiled, compared with another's promise. Included by check.cmake.

# A shared library with every function of <folder>/thimble/thimble.h and none of the code: what abidiff reads, in a second.
function(build_stubs folder library)
  file(READ "${folder}/thimble/thimble.h" text)
  string(REPLACE ";" "@" text "${text}")
  string(REGEX REPLACE "/\\*([^*]|\\*+[^*/])*\\*+/" "" text "${text}")
  string(REGEX REPLACE "\n *#[^\n]*" "" text "${text}")
  string(REGEX MATCHALL "THIMBLE_API[^@]*@" functions "${text}")
  list(LENGTH functions count)
  if(count LESS 30)
    message(FATAL_ERROR "Only ${count} functions found in ${folder}/thimble/thimble.h.")
  endif()
  string(REPLACE ";" "" functions "${functions}")
  string(REPLACE "@" " { __builtin_trap(); }\n" functions "${functions}")
  # Fields hold numbers of enums as int32_t, so that no function leads abidiff to them.
  string(REGEX MATCHALL "\nenum thimble_[a-z_]+" enums "${text}")
  set(values)
  foreach(enum IN LISTS enums)
    string(REGEX REPLACE "\nenum (thimble_[a-z_]+)" "enum \\1 a_\\1;\n" value "${enum}")
    string(APPEND values "${value}")
  endforeach()
  file(WRITE "${library}.c" "#include <thimble/thimble.h>\n${values}${functions}")
  execute_process(COMMAND "${CC}" -std=c11 -g -O0 -w -fPIC -shared -I "${folder}" "${library}.c" -o "${library}"
                  COMMAND_ERROR_IS_FATAL ANY)
endfunction()

# Sets `broken` to what abidiff says where programs built for `before` would not work with `now`; empty where all they could
# notice is growth: functions, codes, and fields behind the last one of a struct. abidiff's own rule for fields at the end
# also lets moved ones pass, so its report is read line by line, and every line must be a known harmless one.
function(compare_layouts before now broken)
  execute_process(COMMAND "${ABIDIFF}" --no-added-syms "${before}" "${now}"
                  OUTPUT_VARIABLE text ERROR_VARIABLE errors RESULT_VARIABLE result)
  math(EXPR failed "${result} & 3")
  if(failed)
    message(FATAL_ERROR "abidiff failed with ${result}: ${text}${errors}")
  endif()
  set(harmless
    "^$"
    "changes summary: 0 Removed"
    "^[0-9]+ functions? with some indirect sub-type change:$"
    "^\\[C\\] 'function .* has some indirect sub-type changes:$"
    "^(parameter [0-9]+ of|return) type '.*' (has sub-type changes|changed):$"
    "^in pointed to type '.*'( at .*)?:$"
    "^in unqualified underlying type '.*'( at .*)?:$"
    "^underlying type '.*'( at .*)? changed:$"
    "^type size (hasn't changed|changed from [0-9]+ to [0-9]+ .*)$"
    "^[0-9]+ (data member|enumerator) insertions?:$"
    "^'.*', at offset [0-9]+ \\(in bits\\).*$"
    "^'.*' value '[0-9]+'$")
  string(REPLACE ";" "," lines "${text}")
  string(REGEX REPLACE "\n" ";" lines "${lines}")
  set(bad 0)
  foreach(line IN LISTS lines)
    string(STRIP "${line}" line)
    set(known 0)
    foreach(pattern IN LISTS harmless)
      if(line MATCHES "${pattern}")
        set(known 1)
      endif()
    endforeach()
    if(NOT known)
      set(bad 1)
    endif()
  endforeach()
  if(bad)
    set(${broken} "${text}" PARENT_SCOPE)
  else()
    set(${broken} "" PARENT_SCOPE)
  endif()
endfunction()

# Sets `missing` to those of the names `accepted` that the library does not export.
function(missing_exports library accepted missing)
  execute_process(COMMAND "${NM}" -D --defined-only "${library}" OUTPUT_VARIABLE text COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCHALL "[0-9a-f]+ [A-Za-z] [^\n]+" exported "${text}")
  list(TRANSFORM exported REPLACE "^[0-9a-f]+ [A-Za-z] ([^@]+).*$" "\\1")
  list(REMOVE_ITEM accepted ${exported})
  set(${missing} "${accepted}" PARENT_SCOPE)
endfunction()
