/* Between the library's own files. */
#ifndef EDGETPU_SIM_H
#define EDGETPU_SIM_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "control.h"
#include "tflite_abi.h"

/* This process's hold on one stick, shared by its delegates as in libedgetpu. */
struct session {
    struct stick *stick;
    int delegates;
    uint64_t plug;
    int node; /* open as libusb has it, so that /proc/PID/fd tells who holds the stick */
    pthread_mutex_t running; /* the device runs one model at a time */
    pthread_t watcher;
    bool closing;
};

/* A control file in memory, and what this process has open of it. */
struct mapping {
    struct control *control;
    struct session sessions[SIM_STICKS];
    dev_t device;
    ino_t inode;
    struct mapping *next;
};

/* control.c */
struct mapping *control_map(void (*report)(const char *));
int control_lock(void);
void control_unlock(int lock);

/* usb.c */
struct stick *usb_select(struct mapping *mapping, const char *device, bool *indexed);
void usb_load_firmware(struct stick *stick);
int usb_open_node(struct stick *stick);

/* faults.c */
bool fault_strikes(struct stick *stick, int fault);
void fault_crash(void);
void fault_hang(void);
void fault_fatal(const char *what);

/* session.c */
struct session *session_open(struct mapping *mapping, char **keys, char **values, size_t count);
void session_close(struct session *session);
TfLiteStatus session_run(struct session *session, uint64_t model, TfLiteContext *context, TfLiteNode *node);
uint64_t monotonic_ns(void);
void sleep_until(uint64_t deadline_ns);

/* outputs.c */
uint64_t input_hash(const TfLiteContext *context, const TfLiteNode *node);
TfLiteStatus write_outputs(const struct stick *stick, TfLiteContext *context, const TfLiteNode *node);

#endif
