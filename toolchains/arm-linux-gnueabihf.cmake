# 32-bit ARM Linux (Raspberry Pi 2 and later with a 32-bit system). The compiler's baseline is ARMv7 with VFPv3-D16: NEON is used
# where the processor says that it has it. QEMU_CPU is cortex-a7, cortex-a15, max.
set(CMAKE_SYSTEM_PROCESSOR armv7l)
set(triplet arm-linux-gnueabihf)
set(qemu qemu-arm)
include("${CMAKE_CURRENT_LIST_DIR}/debian_cross.cmake")
