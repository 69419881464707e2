/* System calls on the spool that finish what they began: short writes and
 * interruptions are gone on with, everything else is an error. */
#ifndef POSTERN_QUEUE_DISK_H
#define POSTERN_QUEUE_DISK_H

#include <stddef.h>
#include <stdint.h>

/* 0, or -1 with errno. */
int disk_write(int fd, const void *p, size_t len, uint64_t offset);
/* Bytes read, fewer than len at the end of the file only; -1 with errno. */
int64_t disk_read(int fd, void *p, size_t len, uint64_t offset);
int disk_fsync(int fd);
int disk_fdatasync(int fd);
/* Closes and logs what fails; EINTR has closed it, too. */
void disk_close(int fd);

#endif
