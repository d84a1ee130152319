/* Ways to fail, as libedgetpu does. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "sim.h"

/* Whether this call is the one that is to fail; counts it. */
bool fault_strikes(struct stick *stick, int which) {
    struct fault *fault = &stick->faults[which];
    if (fault->times == 0) return false;
    if (fault->after > 0) return fault->after--, false;
    if (fault->times != SIM_ALWAYS) fault->times--;
    fault->fired++;
    stick->faults_fired++;
    return true;
}

/* SIGSEGV, as with a libedgetpu that was built against another TensorFlow. */
void fault_crash(void) {
    volatile int *volatile nowhere = NULL;
    *nowhere = 1;
}

/* For ever, and without the CPU: a transfer whose end never comes. */
void fault_hang(void) {
    for (;;) pause();
}

/* LOG(FATAL) of libedgetpu: its line, then abort(); transfers that fail end so, driver/usb/usb_driver.cc:857. */
void fault_fatal(const char *what) {
    fprintf(stderr, "F driver/usb/usb_driver.cc:857] %s\n", what);
    fflush(stderr);
    abort();
}
