/* The control file: what steers the simulated sticks and what they tell, shared by the library and simulator.py.
 *
 * A header and four records of the same size, little-endian, every number 8 bytes wide and aligned, every text and
 * area a multiple of 8 bytes. layout.py mirrors the lists below; edgetpu_sim_layout() prints what the compiler made
 * of them, and a test compares the two. A change of the lists is a new SIM_VERSION.
 */
#ifndef EDGETPU_SIM_CONTROL_H
#define EDGETPU_SIM_CONTROL_H

#include <stdint.h>

#define SIM_MAGIC UINT64_C(0x314D495355505445) /* "ETPUSIM1" */
#define SIM_VERSION 1
#define SIM_STICKS 4
#define SIM_ALWAYS UINT64_MAX
#define SIM_RING 256
#define SIM_OUTPUTS 16
#define SIM_NAME 112
#define SIM_BLOB 65536

enum { STICK_ABSENT, STICK_PRESENT, STICK_DENIED };                  /* state */
enum { PHASE_CLOSED, PHASE_OPENING, PHASE_REENUMERATING, PHASE_OPEN }; /* phase */
enum { CLAIM_CUSTOM, CLAIM_ALL };                                    /* claim */
enum { OUTPUT_CONSTANT, OUTPUT_SET, OUTPUT_INPUT, OUTPUT_NAN };      /* output */

#define SIM_HEADER_NUMBERS(X) \
    X(magic) X(version) X(size) X(stick_size) X(creates) /* every create, also one that finds no stick */

/* First what Python sets, then what the library tells. */
#define SIM_STICK_NUMBERS(X)                                                                        \
    X(state) X(plugs) /* counts up at each plug: an open stick that was swapped is gone too */      \
    X(firmware)       /* 0: 1a6e:089a, the next open loads it; 1: 18d1:9302 */                      \
    X(open_us) X(refuse_us) /* how long an open takes that succeeds, or that fails */               \
    X(invoke_us) X(swap_us) X(ramp_us) X(ramp_max_us) X(leak_bytes)                                 \
    X(claim) X(output) X(value) /* the byte of OUTPUT_CONSTANT, the key of OUTPUT_INPUT */          \
    X(hash_inputs)                                                                                  \
    X(busnum) X(devnum) X(phase) X(owner) /* pid */                                                 \
    X(creates) X(opens) X(closes) X(prepares) X(claimed_nodes) /* nodes of the last prepare */      \
    X(begun) X(invokes) X(swaps) X(ramped) X(last_model) X(second_openers) X(faults_fired)

/* Order of struct fault below. */
#define SIM_FAULTS(X)                                                        \
    X(create_fail) X(create_segv) X(create_hang) X(create_abort)             \
    X(prepare_fail) X(prepare_segv)                                          \
    X(error) X(abort) X(segv) X(hang) /* these four in invoke */

/* Texts end with a zero byte; `options` and `dropped` hold lines of KEY=VALUE. */
#define SIM_STICK_TEXTS(X)                                                       \
    X(device, 64) X(options, 512) X(dropped, 512)                                \
    X(sysfs, 256)   /* the stick's folder in the fake sysfs, or empty */         \
    X(parking, 256) /* where that folder waits while the stick re-enumerates */  \
    X(nodes, 256)   /* the folder of its device node, as /dev/bus/usb/002 */

struct fault {
    uint64_t after; /* calls that pass unharmed before */
    uint64_t times; /* then this many are struck, or SIM_ALWAYS */
    uint64_t fired;
};

struct invocation { /* number n of them is at n % SIM_RING; times are CLOCK_MONOTONIC */
    uint64_t begin_ns, end_ns, input_hash, model;
};

struct set_output { /* bytes for the output tensor of that name, out of the blob */
    char name[SIM_NAME];
    uint64_t offset, size;
};

#define SIM_NUMBER(name) uint64_t name;
#define SIM_TEXT(name, size) char name[size];
#define SIM_FAULT_INDEX(name) FAULT_##name,

enum { SIM_FAULTS(SIM_FAULT_INDEX) FAULT_COUNT };

struct stick {
    SIM_STICK_NUMBERS(SIM_NUMBER)
    struct fault faults[FAULT_COUNT];
    SIM_STICK_TEXTS(SIM_TEXT)
    struct invocation ring[SIM_RING];
    struct set_output outputs[SIM_OUTPUTS];
    uint8_t blob[SIM_BLOB];
};

struct control {
    SIM_HEADER_NUMBERS(SIM_NUMBER)
    struct stick sticks[SIM_STICKS];
};

#endif
