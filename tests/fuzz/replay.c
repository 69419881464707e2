/*
 * Runs a fuzz target over the files and directories named as arguments: the
 * corpus as a regression test, with any compiler.
 */
#include <err.h>
#include <fts.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* One file, as exactly that many bytes, so that a sanitizer sees a read
 * beyond them. */
static void
replay(const char *path, size_t size)
{
	FILE *f = fopen(path, "rb");
	if (f == NULL)
		err(1, "%s", path);
	uint8_t *data = malloc(size > 0 ? size : 1);
	if (data == NULL || fread(data, 1, size, f) != size)
		err(1, "%s", path);
	fclose(f);
	LLVMFuzzerTestOneInput(data, size);
	free(data);
}

int
main(int argc, char **argv)
{
	unsigned int n = 0;

	if (argc < 2)
		errx(1, "usage: %s file-or-directory ...", argv[0]);
	/* cppcheck-suppress nullPointer; in the order they come */
	FTS *tree = fts_open(argv + 1, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	if (tree == NULL)
		err(1, "fts_open");
	for (FTSENT *e = fts_read(tree); e != NULL; e = fts_read(tree)) {
		if (e->fts_info == FTS_NS || e->fts_info == FTS_DNR)
			errx(1, "%s: cannot be read", e->fts_path);
		if (e->fts_info != FTS_F)
			continue;
		replay(e->fts_path, (size_t)e->fts_statp->st_size);
		n++;
	}
	fts_close(tree);
	printf("%u inputs\n", n);
	printf("%d passed, %d failed\n", n > 0, n == 0);
	return n > 0 ? 0 : 1;
}
