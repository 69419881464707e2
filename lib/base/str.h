/* A view of bytes owned by somebody else; may hold NULs, is not terminated. */
#ifndef POSTERN_BASE_STR_H
#define POSTERN_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct str {
	const char *p;
	size_t len;
};

#define STR(literal) ((struct str){ (literal), sizeof(literal) - 1 })

/* View of a C string; NULL gives the empty view. */
struct str str_of(const char *s);
bool str_eq(struct str a, struct str b);
/* ASCII case folded comparison (RFC 5321 2.4). */
bool str_eq_nocase(struct str a, struct str b);
bool str_starts_nocase(struct str s, struct str prefix);
/* <0, 0, >0, bytewise, shorter first. */
int str_cmp(struct str a, struct str b);
/* Index of the first c, or s.len. */
size_t str_find(struct str s, char c);
/* From byte n on; n beyond the end gives the empty view. */
struct str str_skip(struct str s, size_t n);
/* The first n bytes at most. */
struct str str_head(struct str s, size_t n);
/* Takes what stands before the next c (or all) off *s, and the c with it. */
struct str str_cut(struct str *s, char c);
/* Blanks and tabs off both ends. */
struct str str_trim(struct str s);
/* Decimal digits only, at most max. Returns 0, or -1 when it is not that. */
int str_to_u64(struct str s, uint64_t max, uint64_t *out);
/* Copy owned by the caller, NUL-terminated. */
char *str_dup(struct str s);
/* Copies s to *p, where s.len + 1 bytes are free, NUL-terminated, and moves *p
 * behind it. Returns the copy. */
char *str_place(char **p, struct str s);
/* ASCII only, whatever the locale. */
bool chr_is_digit(char c);
bool chr_is_alpha(char c);
char chr_lower(char c);

#endif
