# What the toolchain files of Debian's cross compilers share: they set CMAKE_SYSTEM_PROCESSOR, `triplet` and `qemu` (the emulator of
# user mode, which runs programs and tests; QEMU_CPU in the environment names the processor) and include this.
set(CMAKE_SYSTEM_NAME Linux)

set(CMAKE_C_COMPILER ${triplet}-gcc)
set(CMAKE_CXX_COMPILER ${triplet}-g++)

set(CMAKE_FIND_ROOT_PATH /usr/${triplet})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)

find_program(THIMBLE_QEMU NAMES ${qemu}-static ${qemu})
if(THIMBLE_QEMU)
  set(CMAKE_CROSSCOMPILING_EMULATOR "${THIMBLE_QEMU};-L;/usr/${triplet}")
endif()
unset(triplet)
unset(qemu)
