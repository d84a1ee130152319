/* The control file in memory, and its layout in words. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sim.h"

static struct mapping *mappings;

static void complain(void (*report)(const char *), const char *path, const char *what) {
    char text[512];
    snprintf(text, sizeof text, "the simulated Edge TPU: %s: %s; make it with tests/edgetpu_sim/simulator.py start",
             path, what);
    if (report) report(text);
}

static struct mapping *map_new(int fd, const struct stat *status, const char *path, void (*report)(const char *)) {
    struct control *control = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (control == MAP_FAILED) return complain(report, path, strerror(errno)), NULL;
    struct mapping *found = NULL;
    if (control->magic != SIM_MAGIC || control->version != SIM_VERSION)
        complain(report, path, "is no control file of this version");
    else
        found = calloc(1, sizeof *found);
    if (!found) return munmap(control, sizeof *control), NULL;
    *found = (struct mapping){.control = control, .device = status->st_dev, .inode = status->st_ino, .next = mappings};
    return mappings = found;
}

/* The file that VISIOND_EDGETPU_SIM names now: a test process may go from one to the next, and have delegates of both.
 * NULL and a report where it cannot be mapped. Never unmapped. */
struct mapping *control_map(void (*report)(const char *)) {
    const char *path = getenv("VISIOND_EDGETPU_SIM");
    if (!path) return complain(report, "VISIOND_EDGETPU_SIM", "is not set, it names the control file"), NULL;
    struct stat status;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) < 0) return complain(report, path, strerror(errno)), NULL;
    struct mapping *found = mappings;
    while (found && (found->device != status.st_dev || found->inode != status.st_ino)) found = found->next;
    if (!found && status.st_size != sizeof(struct control))
        complain(report, path, "has another size than this library's control file");
    else if (!found)
        found = map_new(fd, &status, path, report);
    close(fd);
    return found;
}

/* Against Python and other processes, while the fake sysfs changes. */
int control_lock(void) {
    int lock = open(getenv("VISIOND_EDGETPU_SIM"), O_RDONLY | O_CLOEXEC);
    while (lock >= 0 && flock(lock, LOCK_EX) < 0 && errno == EINTR) continue;
    return lock;
}

void control_unlock(int lock) {
    if (lock >= 0) close(lock);
}

/* Lines of "NAME OFFSET SIZE", a stick's offsets within its record: for the test that layout.py agrees. */
const char *edgetpu_sim_layout(void) {
    static char text[8192];
    FILE *out = fmemopen(text, sizeof text, "w");
    if (!out) return NULL;
#define PLACE(type, name) \
    fprintf(out, #type ".%s %zu %zu\n", #name, offsetof(struct type, name), sizeof(((struct type *)0)->name));
#define HEADER_PLACE(name) PLACE(control, name)
#define STICK_PLACE(name) PLACE(stick, name)
#define TEXT_PLACE(name, size) PLACE(stick, name)
#define FAULT_PLACE(name) \
    fprintf(out, "fault.%s %zu %zu\n", #name, offsetof(struct stick, faults[FAULT_##name]), sizeof(struct fault));
    SIM_HEADER_NUMBERS(HEADER_PLACE)
    HEADER_PLACE(sticks)
    SIM_STICK_NUMBERS(STICK_PLACE)
    SIM_FAULTS(FAULT_PLACE)
    SIM_STICK_TEXTS(TEXT_PLACE)
    STICK_PLACE(ring)
    STICK_PLACE(outputs)
    STICK_PLACE(blob)
    fclose(out);
    return text;
}
