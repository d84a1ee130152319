/* A stick that this process has open: how it is opened, what an invoke takes, when it is lost. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "sim.h"

#define WATCH_NS 20000000 /* how soon an idle process notices that its stick is gone */

uint64_t monotonic_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* The default slack of 50 us would be added to every invoke. */
void sleep_until(uint64_t deadline_ns) {
    static _Thread_local bool accurate;
    if (!accurate) accurate = prctl(PR_SET_TIMERSLACK, 1) == 0;
    struct timespec deadline = {(time_t)(deadline_ns / 1000000000), (long)(deadline_ns % 1000000000)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &deadline, NULL) == EINTR) continue;
}

static bool is_gone(const struct session *session) {
    return session->stick->state == STICK_ABSENT || session->stick->plugs != session->plug;
}

/* libedgetpu always reads events from the stick; when they fail it aborts, idle or not (HandleEvent). */
static void *watch(void *argument) {
    struct session *session = argument;
    while (!__atomic_load_n(&session->closing, __ATOMIC_ACQUIRE)) {
        if (is_gone(session)) fault_fatal("HandleEvent failed. USB transfer error 5 [LibUsbDataInCallback]");
        sleep_until(monotonic_ns() + WATCH_NS);
    }
    return NULL;
}

/* Alive and no zombie: one that died with the stick in its hands, and was not waited for, holds nothing. */
static bool is_running(pid_t pid) {
    char path[64], state = 'Z';
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "r");
    if (!file) return false;
    if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1) state = 'Z';
    fclose(file);
    return state != 'Z' && state != 'X';
}

static void append(char *text, size_t size, const char *key, const char *value) {
    size_t used = strlen(text);
    snprintf(text + used, size - used, "%s=%s\n", key, value);
}

/* Without an index in `device`, libedgetpu opens without options and says nothing (GetEdgeTpuContext). */
static void note_options(struct stick *stick, bool indexed, char **keys, char **values, size_t count) {
    *stick->device = *stick->options = *stick->dropped = 0;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(keys[i], "device") == 0)
            snprintf(stick->device, sizeof stick->device, "%s", values[i]);
        else if (indexed)
            append(stick->options, sizeof stick->options, keys[i], values[i]);
        else
            append(stick->dropped, sizeof stick->dropped, keys[i], values[i]);
    }
}

/* Who opens a stick that another process has takes it from that process, which then aborts. */
static void take(struct stick *stick) {
    pid_t self = getpid(), owner = (pid_t)stick->owner;
    if (owner && owner != self && is_running(owner)) stick->second_openers++;
    stick->owner = (uint64_t)self;
    stick->last_model = 0;
}

static bool open_stick(struct session *session) {
    struct stick *stick = session->stick;
    uint64_t begin = monotonic_ns();
    session->plug = stick->plugs;
    if (stick->state == STICK_DENIED || fault_strikes(stick, FAULT_create_fail))
        return sleep_until(begin + stick->refuse_us * 1000), false;
    stick->phase = PHASE_OPENING;
    if (!stick->firmware) usb_load_firmware(stick);
    sleep_until(begin + stick->open_us * 1000);
    if (is_gone(session)) return stick->phase = PHASE_CLOSED, false;
    take(stick);
    session->node = usb_open_node(stick);
    session->closing = false;
    if (pthread_create(&session->watcher, NULL, watch, session) != 0) abort();
    stick->phase = PHASE_OPEN;
    stick->opens++;
    return true;
}

/* NULL without a word where there is no such stick or it does not open: libedgetpu does not use the report. */
struct session *session_open(struct mapping *mapping, char **keys, char **values, size_t count) {
    const char *device = "";
    for (size_t i = 0; i < count; i++)
        if (strcmp(keys[i], "device") == 0) device = values[i];
    bool indexed;
    mapping->control->creates++;
    struct stick *stick = usb_select(mapping, device, &indexed);
    if (!stick) return NULL;
    stick->creates++;
    if (fault_strikes(stick, FAULT_create_segv)) fault_crash();
    if (fault_strikes(stick, FAULT_create_hang)) fault_hang();
    if (fault_strikes(stick, FAULT_create_abort)) fault_fatal("transfer on tag 1 failed. Abort. Deadline exceeded");
    struct session *session = &mapping->sessions[stick - mapping->control->sticks];
    if (session->delegates == 0) {
        *session = (struct session){.stick = stick, .running = PTHREAD_MUTEX_INITIALIZER};
        note_options(stick, indexed, keys, values, count);
        if (!open_stick(session)) return NULL;
    }
    session->delegates++;
    return session;
}

void session_close(struct session *session) {
    if (--session->delegates > 0) return;
    __atomic_store_n(&session->closing, true, __ATOMIC_RELEASE);
    pthread_join(session->watcher, NULL);
    if (session->node >= 0) close(session->node);
    struct stick *stick = session->stick;
    if (stick->owner == (uint64_t)getpid()) stick->owner = 0, stick->phase = PHASE_CLOSED;
    stick->closes++;
}

static uint64_t cost_us(struct stick *stick, uint64_t model) {
    uint64_t cost = stick->invoke_us, ramp = stick->ramp_us * stick->ramped++;
    cost += ramp < stick->ramp_max_us ? ramp : stick->ramp_max_us;
    if (stick->last_model && stick->last_model != model) stick->swaps++, cost += stick->swap_us;
    stick->last_model = model;
    return cost;
}

static void leak(uint64_t bytes) {
    static void *volatile last; /* volatile: the compiler may not leave out what nobody reads */
    if (bytes && (last = malloc(bytes))) memset(last, 1, bytes);
}

static void check_hold(const struct session *session) {
    if (is_gone(session)) fault_fatal("transfer on tag 2 failed. Abort. USB transfer error 5 [LibUsbDataOutCallback]");
    if (session->stick->owner != (uint64_t)getpid())
        fault_fatal("transfer on tag 2 failed. Abort. USB transfer error 4 [LibUsbDataOutCallback]");
}

static TfLiteStatus run(struct session *session, uint64_t model, TfLiteContext *context, TfLiteNode *node) {
    struct stick *stick = session->stick;
    struct invocation record = {.begin_ns = monotonic_ns(), .model = model};
    stick->begun++;
    check_hold(session);
    if (fault_strikes(stick, FAULT_segv)) fault_crash();
    if (fault_strikes(stick, FAULT_hang)) fault_hang();
    if (fault_strikes(stick, FAULT_abort))
        fault_fatal("transfer on tag 2 failed. Abort. Deadline exceeded: USB transfer error 2 [LibUsbDataOutCallback]");
    if (fault_strikes(stick, FAULT_error)) {
        context->ReportError(context, "Failed to execute request. %s", "simulated: the device refused");
        return kTfLiteError;
    }
    uint64_t deadline = record.begin_ns + cost_us(stick, model) * 1000;
    if (stick->hash_inputs) record.input_hash = input_hash(context, node);
    if (write_outputs(stick, context, node) != kTfLiteOk) return kTfLiteError;
    leak(stick->leak_bytes);
    sleep_until(deadline);
    check_hold(session);
    record.end_ns = monotonic_ns();
    stick->ring[stick->invokes % SIM_RING] = record;
    __atomic_add_fetch(&stick->invokes, 1, __ATOMIC_RELEASE);
    return kTfLiteOk;
}

TfLiteStatus session_run(struct session *session, uint64_t model, TfLiteContext *context, TfLiteNode *node) {
    pthread_mutex_lock(&session->running);
    TfLiteStatus status = run(session, model, context, node);
    pthread_mutex_unlock(&session->running);
    return status;
}
