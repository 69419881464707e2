#include "lib/base/id.h"

#include <sys/random.h>

#include "lib/base/clock.h"

static const char digits[] =
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/* Random bytes in stock: a system call a mail is not needed for labels. */
static uint64_t
random_u64(void)
{
	static uint64_t stock[32];
	static size_t left;

	if (left == 0) {
		ssize_t n = getrandom(stock, sizeof(stock), 0);
		left = n > 0 ? (size_t)n / sizeof(stock[0]) : 0;
		if (left == 0) /* cannot happen up to 256 bytes */
			return clock_mono_us();
	}
	return stock[--left];
}

void
id_new(uint64_t wall_ms, char out[static ID_LEN + 1])
{
	uint64_t r = random_u64();

	for (int i = 8; i >= 0; i--) {
		out[i] = digits[wall_ms % 62];
		wall_ms /= 62;
	}
	for (int i = 9; i < ID_LEN; i++) {
		out[i] = digits[r % 62];
		r /= 62;
	}
	out[ID_LEN] = '\0';
}

bool
id_is_valid(struct str s)
{
	if (s.len != ID_LEN)
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (!chr_is_digit(s.p[i]) && !chr_is_alpha(s.p[i]))
			return false;
	return true;
}
