#include "lib/base/crc32c.h"

#include <stdbool.h>
#include <string.h>

static const uint32_t polynomial = 0x82f63b78; /* reflected */

static uint32_t table[256];

/* Before main, so that threads find it made. */
__attribute__((constructor)) static void
make_table(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;
		for (int k = 0; k < 8; k++)
			c = (c & 1) != 0 ? c >> 1 ^ polynomial : c >> 1;
		table[i] = c;
	}
}

static uint32_t
crc_table(uint32_t crc, const uint8_t *p, size_t len)
{
	while (len-- > 0)
		crc = table[(crc ^ *p++) & 0xff] ^ crc >> 8;
	return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t
crc_hardware(uint32_t crc, const uint8_t *p, size_t len)
{
	uint64_t c = crc;

	for (; len >= 8; p += 8, len -= 8) {
		uint64_t v;
		memcpy(&v, p, sizeof(v));
		c = __builtin_ia32_crc32di(c, v);
	}
	crc = (uint32_t)c;
	while (len-- > 0)
		crc = __builtin_ia32_crc32qi(crc, *p++);
	return crc;
}

static bool
has_hardware(void)
{
	return __builtin_cpu_supports("sse4.2") != 0;
}
#else
static uint32_t
crc_hardware(uint32_t crc, const uint8_t *p, size_t len)
{
	return crc_table(crc, p, len);
}

static bool
has_hardware(void)
{
	return false;
}
#endif

uint32_t
crc32c(uint32_t crc, const void *p, size_t len)
{
	crc = ~crc;
	crc =
	    has_hardware() ? crc_hardware(crc, p, len) : crc_table(crc, p, len);
	return ~crc;
}
