# 32-bit ARM Linux (Raspberry Pi 2 and later with a 32-bit system) with Debian's cross compiler, whose baseline is ARMv7 with
# VFPv3-D16: NEON is used where the processor says that it has it. Programs and tests run under qemu's user mode; the emulated
# processor is chosen at run time by the environment variable QEMU_CPU (cortex-a7, cortex-a15, max).
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR armv7l)

set(CMAKE_C_COMPILER arm-linux-gnueabihf-gcc)
set(CMAKE_CXX_COMPILER arm-linux-gnueabihf-g++)

set(CMAKE_FIND_ROOT_PATH /usr/arm-linux-gnueabihf)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)

find_program(THIMBLE_QEMU_ARM NAMES qemu-arm-static qemu-arm)
if(THIMBLE_QEMU_ARM)
  set(CMAKE_CROSSCOMPILING_EMULATOR "${THIMBLE_QEMU_ARM};-L;/usr/arm-linux-gnueabihf")
endif()
