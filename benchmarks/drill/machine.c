/* Loaded into a process, it plays faults of its machine.
 *
 * While the file $SLOW_DISK exists, every flush to the disk takes 100 ms longer.
 * The clock shows $FAST_CLOCK seconds more than it is; pauses and time-outs are as long as they should be.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static void wait_for_disk(void) {
    const char *name = getenv("SLOW_DISK");
    if (name && access(name, F_OK) == 0) usleep(100000);
}

int fsync(int file) { wait_for_disk(); return (int)syscall(SYS_fsync, file); }
int fdatasync(int file) { wait_for_disk(); return (int)syscall(SYS_fdatasync, file); }

static int is_time_of_day(clockid_t clock) { return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE; }

int clock_gettime(clockid_t clock, struct timespec *found) {
    const char *fast = getenv("FAST_CLOCK");
    int result = (int)syscall(SYS_clock_gettime, clock, found);
    if (result == 0 && fast && is_time_of_day(clock)) found->tv_sec += atol(fast);
    return result;
}

int gettimeofday(struct timeval *found, void *zone) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    found->tv_sec = now.tv_sec;
    found->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *found) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (found) *found = now.tv_sec;
    return now.tv_sec;
}
