// What this CPU and the operating system support. Compiled without any instruction set flag.
#include "ops/tables/kernel_table.h"

#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#elif (defined(__aarch64__) || defined(__arm__)) && defined(__linux__)
#include <sys/auxv.h>
#endif

namespace thimble {

#if defined(__x86_64__)

namespace {

// Which registers the operating system saves: XCR0.
uint64_t SavedState() {
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (uint64_t{high} << 32) | low;
}

bool Bit(uint32_t word, int bit) { return (word >> bit & 1) != 0; }

// Linux gives a process the tiles' state only when it asks (since 5.16), for all of its threads.
bool MayUseTiles() {
#if defined(__linux__)
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

CpuFeatures Detect() {
  CpuFeatures cpu;
  uint32_t a, b, c, d;
  if (__get_cpuid(0, &a, &b, &c, &d) == 0) return cpu;
  cpu.reads_streams = b == 0x756e6547;  // "Genu", of GenuineIntel
  if (__get_cpuid(1, &a, &b, &c, &d) == 0) return cpu;
  const bool fma = Bit(c, 12), osxsave = Bit(c, 27), avx = Bit(c, 28), f16c = Bit(c, 29);
  if (!osxsave || !avx) return cpu;
  const uint64_t state = SavedState();
  const bool ymm = (state & 0x06) == 0x06;
  const bool zmm = (state & 0xe6) == 0xe6;
  if (!ymm || __get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return cpu;
  const uint32_t leaves = a;
  cpu.avx2_fma = Bit(b, 5) && fma && f16c;
  cpu.avx512 = zmm && cpu.avx2_fma && Bit(b, 16) && Bit(b, 17) && Bit(b, 28) && Bit(b, 30) && Bit(b, 31);
  cpu.avx512vnni = cpu.avx512 && Bit(c, 11);
  const bool tiles = (state & 0x60000) == 0x60000;
  cpu.amx = tiles && cpu.avx512vnni && Bit(d, 24) && Bit(d, 25) && MayUseTiles();
  if (leaves >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0) cpu.avxvnni = cpu.avx2_fma && Bit(a, 4);
  return cpu;
}

}  // namespace

// Asked once: in a virtual machine every CPUID is an exit, 97 us for all of them where it was measured.
CpuFeatures DetectCpu() {
  static const CpuFeatures cpu = Detect();
  return cpu;
}

#elif defined(__aarch64__)

CpuFeatures DetectCpu() {
  CpuFeatures cpu;
  cpu.neon = true;  // part of the architecture
#if defined(__linux__)
  // The kernel's numbers (asm/hwcap.h), written down here because older headers lack them.
  cpu.neondot = (getauxval(AT_HWCAP) & (1ul << 20)) != 0;                   // HWCAP_ASIMDDP
  cpu.neoni8mm = cpu.neondot && (getauxval(AT_HWCAP2) & (1ul << 13)) != 0;  // HWCAP2_I8MM
#endif
  return cpu;
}

#elif defined(__arm__)

CpuFeatures DetectCpu() {
  CpuFeatures cpu;
#if defined(__linux__)
  constexpr unsigned long kNeon = 1ul << 12, kVfp4 = 1ul << 16;  // HWCAP_NEON, HWCAP_VFPv4
  cpu.neon = (getauxval(AT_HWCAP) & (kNeon | kVfp4)) == (kNeon | kVfp4);
#endif
  return cpu;
}

#else

CpuFeatures DetectCpu() { return {}; }

#endif

}  // namespace thimble
