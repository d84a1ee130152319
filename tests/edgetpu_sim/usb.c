/* Which stick is meant, and what re-enumeration does to the fake sysfs and /dev. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sim.h"

#define MOST_AWAY_NS 500000000 /* how long a real stick is off the bus, about */

struct edgetpu_device { /* of libedgetpu's edgetpu_c.h */
    int type;
    const char *path;
};
enum { EDGETPU_APEX_USB = 1 };

/* In the order of libedgetpu and libusb: those in the bootloader first, each group last plugged first. So the number
 * of a stick changes when one starts; who wants a certain one must ask edgetpu_list_devices. */
static int enumerate(const struct mapping *mapping, struct stick *found[SIM_STICKS]) {
    struct stick *sticks = mapping->control->sticks;
    int count = 0;
    for (uint64_t firmware = 0; firmware < 2; firmware++)
        for (int i = SIM_STICKS - 1; i >= 0; i--)
            if (sticks[i].state != STICK_ABSENT && sticks[i].phase != PHASE_REENUMERATING &&
                sticks[i].firmware == firmware)
                found[count++] = &sticks[i];
    return count;
}

/* What `device` means: "usb:N" or ":N" the N-th, "usb" or "" one that this process has open already, else the first.
 * NULL for none, and for words that libedgetpu does not know. */
struct stick *usb_select(struct mapping *mapping, const char *device, bool *indexed) {
    if (strncmp(device, "usb", 3) == 0) device += 3;
    *indexed = *device == ':';
    long wanted = 0;
    if (*indexed) {
        char *end;
        wanted = strtol(device + 1, &end, 10);
        if (end == device + 1 || *end || wanted < 0) return NULL;
    } else if (*device) {
        return NULL;
    }
    for (int i = 0; i < SIM_STICKS && !*indexed; i++)
        if (mapping->sessions[i].delegates > 0) return &mapping->control->sticks[i];
    struct stick *found[SIM_STICKS];
    return wanted < enumerate(mapping, found) ? found[wanted] : NULL;
}

static void write_attribute(const char *folder, const char *name, const char *format, unsigned value) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int file = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    if (file < 0) return; /* removed by hand: then the fake sysfs says what is left */
    dprintf(file, format, value);
    close(file);
}

static void node_path(const struct stick *stick, char *path, size_t size) {
    snprintf(path, size, "%s/%03u", stick->nodes, (unsigned)stick->devnum);
}

/* Leave the bus, and come back as 18d1:9302 with another number, unless pulled out meanwhile. */
static void reenumerate(struct stick *stick) {
    char path[512];
    uint64_t plug = stick->plugs, away_ns = stick->open_us * 500;
    int lock = control_lock();
    rename(stick->sysfs, stick->parking);
    stick->phase = PHASE_REENUMERATING; /* after it: who waits for this then finds it gone */
    control_unlock(lock);
    sleep_until(monotonic_ns() + (away_ns < MOST_AWAY_NS ? away_ns : MOST_AWAY_NS));
    lock = control_lock();
    if (stick->state != STICK_ABSENT && stick->plugs == plug) {
        node_path(stick, path, sizeof path);
        unlink(path);
        stick->devnum = stick->devnum % 127 + 1;
        stick->firmware = 1;
        write_attribute(stick->parking, "idVendor", "%04x\n", 0x18d1);
        write_attribute(stick->parking, "idProduct", "%04x\n", 0x9302);
        write_attribute(stick->parking, "devnum", "%u\n", (unsigned)stick->devnum);
        node_path(stick, path, sizeof path);
        int node = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0664);
        if (node >= 0) close(node);
        rename(stick->parking, stick->sysfs);
    }
    stick->phase = PHASE_OPENING;
    control_unlock(lock);
}

/* In a process of its own: a stick comes back also when its opener is killed meanwhile. */
void usb_load_firmware(struct stick *stick) {
    sleep_until(monotonic_ns() + stick->open_us * 250);
    pid_t bus = fork();
    if (bus <= 0) {
        if (bus == 0) setsid(), close_range(0, ~0U, 0); /* the opener's pipes end with it */
        reenumerate(stick);
        if (bus == 0) _exit(0);
    }
    while (bus > 0 && waitpid(bus, NULL, 0) < 0 && errno == EINTR) continue;
}

int usb_open_node(struct stick *stick) {
    char path[512];
    node_path(stick, path, sizeof path);
    return *stick->nodes ? open(path, O_RDWR | O_CLOEXEC) : -1;
}

const char *edgetpu_version(void) { return "BuildLabel(simulated), RuntimeVersion(14)"; }

/* An array with its strings behind it, in one piece of memory; NULL for none. */
struct edgetpu_device *edgetpu_list_devices(size_t *count) {
    struct stick *found[SIM_STICKS];
    const struct mapping *mapping = control_map(NULL);
    *count = mapping ? (size_t)enumerate(mapping, found) : 0;
    struct edgetpu_device *devices = *count ? malloc(*count * (sizeof *devices + sizeof found[0]->sysfs)) : NULL;
    if (!devices) return *count = 0, NULL;
    char *text = (char *)(devices + *count);
    for (size_t i = 0; i < *count; i++) {
        devices[i] = (struct edgetpu_device){EDGETPU_APEX_USB, text};
        text += sprintf(text, "%s", found[i]->sysfs) + 1;
    }
    return devices;
}

void edgetpu_free_devices(struct edgetpu_device *devices) { free(devices); }
