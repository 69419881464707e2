/* CRC-32C (Castagnoli, RFC 3720 appendix B.4). */
#ifndef POSTERN_BASE_CRC32C_H
#define POSTERN_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Goes on from crc (0 to begin) over len bytes. */
uint32_t crc32c(uint32_t crc, const void *p, size_t len);

#endif
