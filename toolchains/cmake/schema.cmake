# The committed header of the file format (format/schema/*_generated.h) and its schema, kept equal.
#
#   thimble_schema        target: writes the header anew into the source tree, after a change of the schema
#   THIMBLE_CHECK_SCHEMA  option: adds the test "schema: ..." that generates it elsewhere and compares
#
# Needs thimble_flatc, so nothing of this in a cross build.

set(schema_options --scoped-enums)
set(schema_dir "${PROJECT_SOURCE_DIR}/format/schema")
file(GLOB schemas CONFIGURE_DEPENDS "${schema_dir}/*.fbs")
if(NOT TARGET thimble_flatc OR NOT schemas)
  return()
endif()

set(write_commands)
foreach(schema IN LISTS schemas)
  list(APPEND write_commands COMMAND thimble_flatc ${schema_options} -o "${schema_dir}" "${schema}")
endforeach()
add_custom_target(thimble_schema ${write_commands} COMMENT "Writing format/schema/*_generated.h" VERBATIM)

if(THIMBLE_CHECK_SCHEMA AND THIMBLE_BUILD_TESTS)
  set(fresh_dir "${PROJECT_BINARY_DIR}/schema")
  file(MAKE_DIRECTORY "${fresh_dir}")
  foreach(schema IN LISTS schemas)
    get_filename_component(name "${schema}" NAME_WE)
    set(fresh "${fresh_dir}/${name}_generated.h")
    add_custom_command(OUTPUT "${fresh}"
      COMMAND thimble_flatc ${schema_options} -o "${fresh_dir}" "${schema}"
      DEPENDS thimble_flatc "${schema}" VERBATIM)
    add_custom_target(thimble_schema_${name} ALL DEPENDS "${fresh}")
    add_test(NAME "schema: ${name}_generated.h is what the schema gives"
      COMMAND "${CMAKE_COMMAND}" -E compare_files "${schema_dir}/${name}_generated.h" "${fresh}")
  endforeach()
endif()
