/*
 * 8-bit mail into 7-bit: what is converted, and what stays. With --filter a
 * filter for same_content.py, which compares what Python's parser makes of a
 * mail and of its conversion: each mail with its length before it (4 bytes,
 * little-endian) and a byte that says how large the pieces are.
 */
#include "delivery/downgrade.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/bytes.h"

enum { OUT_MAX = 64 << 20 };

static struct buf got = { .max = OUT_MAX };

static void
out(void *ctx, const char *p, size_t len)
{
	buf_add(ctx, p, len);
}

static struct str
convert(struct str in, size_t piece)
{
	struct downgrade *d = downgrade_new();

	buf_reset(&got);
	while (in.len > 0) {
		downgrade_feed(d, str_head(in, piece), out, &got);
		in = str_skip(in, piece);
	}
	downgrade_end(d, out, &got);
	downgrade_free(&d);
	return buf_str(&got);
}

/* However it comes. */
static void
becomes(const char *in, const char *want)
{
	for (size_t piece = 1; piece < 80; piece += 13) {
		struct str s = convert(str_of(in), piece);

		buf_add_char(&got, '\0');
		ck_assert(!got.failed);
		ck_assert_str_eq(got.p, want);
		ck_assert_uint_eq(s.len, strlen(want));
	}
}

#define TYPE "MIME-Version: 1.0\r\nContent-Type: text/plain\r\n"
#define QP   "Content-Transfer-Encoding: quoted-printable\r\n"

START_TEST(test_declared)
{
	becomes("Content-Transfer-Encoding: 8bit\r\n" TYPE "\r\n"
		"caf\xc3\xa9 = \r\n.\r\nend",
	    QP TYPE "\r\ncaf=C3=A9 =3D=20\r\n.\r\nend");
	becomes("A: b\r\ncontent-transfer-encoding:\r\n (x) BINARY\r\n" TYPE
		"\r\nend ",
	    "A: b\r\n" QP TYPE "\r\nend=20");
	becomes(TYPE QP "\r\n=C3\xa9=\r\n\r\n", TYPE QP "\r\n=C3=A9=\r\n\r\n");
	becomes(TYPE "Content-Transfer-Encoding: base64\r\n\r\nAA\xff==\r\n",
	    TYPE "Content-Transfer-Encoding: base64\r\n\r\nAA?==\r\n");
	/* A line that is no field does not become one. */
	becomes(TYPE "Content-Transfer-Encoding: base64\r\nA\xe9: b\r\n",
	    TYPE "Content-Transfer-Encoding: base64\r\n\r\nA?: b\r\n");
	becomes(TYPE QP "A\xe9: b\r\nc\r\n", TYPE QP "\r\nA=E9: b\r\nc\r\n");
	becomes(TYPE QP "no field\r\n", TYPE QP "no field\r\n");
}

END_TEST

START_TEST(test_not_declared)
{
	becomes("A: b\r\n\r\nASCII \r\n= and more",
	    "A: b\r\n\r\nASCII \r\n= and "
	    "more");
	becomes("A: b\r\n\r\nASCII \r\n\xe9",
	    "A: b\r\nMIME-Version: 1.0\r\n" QP "\r\nASCII=20\r\n=E9");
	becomes("A: b\r\nno field: \xe9\r\n",
	    "A: b\r\nMIME-Version: 1.0\r\n" QP "\r\nno field: =E9\r\n");
	becomes("\r\n\xe9", "MIME-Version: 1.0\r\n" QP "\r\n=E9");
	becomes(TYPE "Content-Transfer-Encoding: 7bit\r\nSubject: \xe9\r\n"
		     "\r\nx\r\n",
	    TYPE "Content-Transfer-Encoding: 7bit\r\nSubject: \xe9\r\n"
		 "\r\nx\r\n");
	becomes("", "");
	becomes("A: b", "A: b");
	/* Blanks before the colon (RFC 5322 4.5.8). */
	becomes("A \t: b\r\n" TYPE "Content-Transfer-Encoding : 8bit\r\n"
		"\r\n\xe9",
	    "A \t: b\r\n" TYPE QP "\r\n=E9");
}

END_TEST

#define OUTER "Content-Type: multipart/mixed; boundary=\"o o\"\r\n"
#define INNER "Content-Type: Multipart/Digest;\r\n\tBoundary=i\r\n"

START_TEST(test_parts)
{
	becomes("MIME-Version: 1.0\r\n" OUTER
		"Content-Transfer-Encoding: 8bit\r\n\r\npre\xe9\r\n"
		"--o o\r\n\r\nplain\r\n--o o not\r\n"
		"--o o \r\n" INNER "\r\n--i\r\n\r\n"
		"Subject: \xe9\r\n\r\n\xe9\r\n--i--\r\nbetween\xff\r\n"
		"--o o\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\xe9\r\n"
		"--o o--\r\nafter\xff\r\n",
	    "MIME-Version: 1.0\r\n" OUTER
	    "Content-Transfer-Encoding: 7bit\r\n\r\npre?\r\n"
	    "--o o\r\n\r\nplain\r\n--o o not\r\n"
	    "--o o \r\n" INNER "\r\n--i\r\n\r\n"
	    "Subject: \xe9\r\nMIME-Version: 1.0\r\n" QP "\r\n=E9\r\n--i--\r\n"
	    "between?\r\n"
	    "--o o\r\n" QP "\r\n=E9\r\n"
	    "--o o--\r\nafter?\r\n");
	/* The outer one ends the inner. */
	becomes(OUTER "\r\n--o o\r\n" INNER "\r\n--i\r\nA: b\r\n"
		      "--o o\r\n\r\n\xe9",
	    OUTER "\r\n--o o\r\n" INNER "\r\n--i\r\nA: b\r\n"
		  "--o o\r\n" QP "\r\n=E9");
	becomes("Content-Type: message/rfc822\r\n"
		"Content-Transfer-Encoding: 8bit\r\n\r\nFrom x\r\nA: b\r\n"
		"Content-Transfer-Encoding: 8bit\r\n\r\n\xe9",
	    "Content-Type: message/rfc822\r\nMIME-Version: 1.0\r\n"
	    "Content-Transfer-Encoding: 7bit\r\n\r\nFrom x\r\nA: b\r\n"
	    "MIME-Version: 1.0\r\n" QP "\r\n=E9");
}

END_TEST

/* Soft line breaks: never more than 76 bytes on a line, and none that would
 * begin like a boundary. */
START_TEST(test_long_lines)
{
	char in[400];
	size_t line = 0;
	struct str s;

	for (size_t at = 60; at < 90; at++) {
		(void)snprintf(in, sizeof(in),
		    "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
		    "Content-Transfer-Encoding: 8bit\r\n\r\n%.*s--b\r\n"
		    "\xe9\r\n--b--\r\n",
		    (int)at,
		    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
		s = convert(str_of(in), 7);
		buf_add_char(&got, '\0');
		ck_assert_ptr_ne(strstr(got.p, "\r\n--b\r\n"), NULL);
		ck_assert_ptr_eq(
		    strstr(strstr(got.p, "\r\n--b\r\n") + 2, "\r\n--b\r\n"),
		    NULL);
		line = 0;
		for (size_t i = 0; i < s.len; i++) {
			line = s.p[i] == '\n' ? 0 : line + 1;
			ck_assert_uint_le(line, 77); /* with its CR */
		}
	}
}

END_TEST

/* Beyond what it looks at it converts, to be on the safe side; fields beyond
 * what it holds leave before the encoding that is put anew. */
START_TEST(test_bounds)
{
	char *big = xmalloc(400001);
	struct buf in = { .max = OUT_MAX };
	struct str s;

	memset(big, 'x', 400000);
	for (size_t i = 0; i < 400000; i += 50)
		memcpy(big + i, "\r\nF: ", 5);
	big[400000] = '\0';
	buf_addf(&in, "A: b\r\n\r\n%s\xe9\r\n", big);
	s = convert(buf_str(&in), 4096);
	ck_assert_uint_gt(s.len, 400000);
	for (size_t i = 0; i < s.len; i++)
		ck_assert_int_gt(s.p[i], 0);
	buf_reset(&in);
	buf_addf(&in,
	    "A: b\r\nContent-Transfer-Encoding: 8bit%s\r\n\r\n\xe9\r\n", big);
	(void)convert(buf_str(&in), 4096);
	buf_add_char(&got, '\0');
	ck_assert_ptr_ne(strstr(got.p, "\r\n" QP "\r\n=E9\r\n"), NULL);
	ck_assert_ptr_eq(strstr(got.p, "8bit"), NULL);
	/* Multiparts in multiparts, more than anybody counts. */
	buf_reset(&in);
	for (int i = 0; i < 300; i++)
		buf_addf(&in,
		    "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n"
		    "--b%d\r\n",
		    i, i);
	buf_addf(&in, "\r\n\xe9\r\n");
	s = convert(buf_str(&in), 100);
	for (size_t i = 0; i < s.len; i++)
		ck_assert_int_gt(s.p[i], 0);
	buf_clear(&in);
	free(big);
}

END_TEST

static char *self;

START_TEST(test_same_content)
{
	char command[300];
	int status;

	(void)snprintf(command, sizeof(command),
	    "python3 tests/unit/delivery/same_content.py '%s' --filter", self);
	status = system(command); /* NOLINT(cert-env33-c): a test's own */
	ck_assert_int_eq(WEXITSTATUS(status), 0);
	ck_assert(WIFEXITED(status));
}

END_TEST

/* --- for same_content.py --- */

static void
filter(void)
{
	uint8_t head[5];
	char *in;

	while (fread(head, sizeof(head), 1, stdin) == 1) {
		size_t len = get_le32(head);
		struct str s;

		in = xmalloc(len + 1);
		if (fread(in, 1, len, stdin) != len)
			exit(1);
		s = convert((struct str){ in, len }, 1U + head[4] * 20U);
		put_le32(head, (uint32_t)s.len);
		if (fwrite(head, 4, 1, stdout) != 1 ||
		    fwrite(s.p, 1, s.len, stdout) != s.len ||
		    fflush(stdout) != 0)
			exit(1);
		free(in);
	}
	exit(0);
}

int
main(int argc, char **argv)
{
	Suite *s;
	TCase *tc;
	SRunner *sr;
	int failed;

	if (argc == 2 && strcmp(argv[1], "--filter") == 0)
		filter();
	self = argv[0];
	s = suite_create("downgrade");
	tc = tcase_create("downgrade");
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_declared);
	tcase_add_test(tc, test_not_declared);
	tcase_add_test(tc, test_parts);
	tcase_add_test(tc, test_long_lines);
	tcase_add_test(tc, test_bounds);
	tcase_add_test(tc, test_same_content);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
