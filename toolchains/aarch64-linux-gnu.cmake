# 64-bit ARM Linux (Raspberry Pi 3 and later): QEMU_CPU is cortex-a53, cortex-a76, max, ...
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(triplet aarch64-linux-gnu)
set(qemu qemu-aarch64)
include("${CMAKE_CURRENT_LIST_DIR}/debian_cross.cmake")
