/* In the place of Android's libandroid.so: its thermal API, which says what the environment does. */
#include <stdlib.h>

static int manager;

void* AThermal_acquireManager(void);
int AThermal_getCurrentThermalStatus(const void* of);
void AThermal_releaseManager(void* of);

void* AThermal_acquireManager(void) { return &manager; }

int AThermal_getCurrentThermalStatus(const void* of) {
  const char* status = getenv("THERMAL_STAND_IN");
  return of == &manager && status != NULL ? atoi(status) : -1;
}

void AThermal_releaseManager(void* of) { (void)of; }
