# Installs the library, the public headers and what find_package(thimble) and pkg-config need.
include(GNUInstallDirs)
