# Installs the library, the public headers, and what find_package(thimble) and pkg-config need.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

install(TARGETS ${libraries} EXPORT thimbleTargets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY "${PROJECT_SOURCE_DIR}/runtime/include/thimble" DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        FILES_MATCHING PATTERN "*.h" PATTERN "*.hpp")
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" "${THIMBLE_NOTICES}" DESTINATION ${CMAKE_INSTALL_DOCDIR})

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/thimble)
install(EXPORT thimbleTargets NAMESPACE thimble:: DESTINATION ${package_dir})
configure_package_config_file("${PROJECT_SOURCE_DIR}/toolchains/cmake/thimbleConfig.cmake.in"
  "${PROJECT_BINARY_DIR}/package/thimbleConfig.cmake" INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file("${PROJECT_BINARY_DIR}/package/thimbleConfigVersion.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/package/thimbleConfig.cmake"
              "${PROJECT_BINARY_DIR}/package/thimbleConfigVersion.cmake"
        DESTINATION ${package_dir})

# Users of the C header link with a C compiler, so the C++ runtime is named; pkg-config cannot ask the
# compiler.
set(THIMBLE_PC_CXX_LIBRARY -lstdc++)
if(ANDROID OR CMAKE_CXX_FLAGS MATCHES "-stdlib=libc\\+\\+")
  set(THIMBLE_PC_CXX_LIBRARY -lc++)
endif()
# The prefix follows the file, so that an installed tree can be moved.
cmake_path(RELATIVE_PATH CMAKE_INSTALL_PREFIX BASE_DIRECTORY "${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig"
           OUTPUT_VARIABLE THIMBLE_PC_UP)
foreach(library IN LISTS libraries)
  string(REPLACE _ - THIMBLE_PC_NAME ${library})
  # The file by its name: `-lthimble` would be the shared one where both are.
  set(THIMBLE_PC_LIBS "-l:libthimble.a ${THIMBLE_PC_CXX_LIBRARY} -lm -pthread")
  if(library STREQUAL "thimble_shared")
    set(THIMBLE_PC_LIBS -lthimble)
  endif()
  set(pc "${PROJECT_BINARY_DIR}/package/${THIMBLE_PC_NAME}.pc")
  configure_file("${PROJECT_SOURCE_DIR}/toolchains/cmake/thimble.pc.in" "${pc}" @ONLY)
  install(FILES "${pc}" DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endforeach()

# What there is to remove, relative to the prefix; the list names itself and the script that reads it.
cmake_path(RELATIVE_PATH CMAKE_INSTALL_PREFIX BASE_DIRECTORY "${CMAKE_INSTALL_PREFIX}/${package_dir}" OUTPUT_VARIABLE THIMBLE_PREFIX_UP)
configure_file("${PROJECT_SOURCE_DIR}/toolchains/cmake/uninstall.cmake.in" "${PROJECT_BINARY_DIR}/package/uninstall.cmake" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/package/uninstall.cmake" DESTINATION ${package_dir})
set(list_installed [=[
  set(list "${CMAKE_INSTALL_PREFIX}/@package_dir@/installed_files.txt")
  set(text)
  foreach(file IN LISTS CMAKE_INSTALL_MANIFEST_FILES ITEMS "${list}")
    cmake_path(RELATIVE_PATH file BASE_DIRECTORY "${CMAKE_INSTALL_PREFIX}")
    string(APPEND text "${file}\n")
  endforeach()
  file(WRITE "$ENV{DESTDIR}${list}" "${text}")
]=])
string(CONFIGURE "${list_installed}" list_installed @ONLY)
install(CODE "${list_installed}")
