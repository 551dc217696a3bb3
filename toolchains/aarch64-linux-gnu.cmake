# 64-bit ARM Linux (Raspberry Pi 3 and later) with Debian's cross compiler. Programs and tests run under
# qemu's user mode; the emulated processor is chosen at run time by the environment variable QEMU_CPU
# (cortex-a53, cortex-a76, max, ...).
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)

set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)

set(CMAKE_FIND_ROOT_PATH /usr/aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)

find_program(THIMBLE_QEMU_AARCH64 NAMES qemu-aarch64-static qemu-aarch64)
if(THIMBLE_QEMU_AARCH64)
  set(CMAKE_CROSSCOMPILING_EMULATOR "${THIMBLE_QEMU_AARCH64};-L;/usr/aarch64-linux-gnu")
endif()
