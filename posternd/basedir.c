#include "posternd/basedir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/proc/child.h"
#include "lib/rules/instance.h"
#include "posternd/account.h"
#include "posternd/complain.h"

/* Whose directory it is to be. */
struct owner {
	const char *name;
	uid_t uid;
	gid_t gid;
};

static const struct role_def *
find(enum role role)
{
	for (size_t i = 0; i < role_table_size; i++)
		if (role_table[i].role == role)
			return &role_table[i];
	return NULL;
}

static struct owner
owner_of(const struct gateway *gw, const struct config *c, enum role role,
    uint16_t instance)
{
	const struct role_def *def = find(role);
	struct owner o = { "us", geteuid(), getegid() };
	if (gw->as_root && def != NULL) {
		o.name = def->user(c, instance);
		(void)account_user(o.name, role_name(role), &o.uid, &o.gid);
	}
	return o;
}

/* Opens the directory below at, after making it when it alone is missing. The
 * last component may not be a symbolic link when made by us, or with
 * O_NOFOLLOW in flags. */
static int
open_or_make(int at, const char *path, int flags, const struct owner *o)
{
	flags |= O_RDONLY | O_DIRECTORY | O_CLOEXEC;
	int fd = openat(at, path, flags);
	struct stat st;
	if (fd >= 0 || errno != ENOENT)
		return fd;
	if (mkdirat(at, path, 0700) == -1)
		return -1;
	fd = openat(at, path, flags | O_NOFOLLOW);
	if (fd == -1 || geteuid() != 0)
		return fd;
	/* Still the one that we made? */
	if (fstat(fd, &st) == -1 || st.st_uid != 0 ||
	    fchown(fd, o->uid, o->gid) == -1) {
		close(fd);
		return -1;
	}
	return fd;
}

static void
open_spool(struct gateway *gw)
{
	const char *path = gw->conf->spool;
	struct owner o = owner_of(gw, gw->conf, ROLE_QUEUE, 0);
	struct stat st;
	gw->spool = open_or_make(AT_FDCWD, path, 0, &o);
	if (gw->spool == -1 || fstat(gw->spool, &st) == -1) {
		complain_errno("spool %s", path);
		return;
	}
	if (st.st_uid != o.uid || !account_may_write(&st, o.uid, o.gid))
		complain(
		    "spool %s is not writable by its user %s", path, o.name);
	else if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
		complain("spool %s is open to others than %s (mode %04o)", path,
		    o.name, st.st_mode & 07777);
}

/* In the spool, which is another's: it is only believed when it belongs to its
 * user. */
static void
open_policies(struct gateway *gw)
{
	static const char name[] = "mta-sts";
	struct owner o = owner_of(gw, gw->conf, ROLE_FETCH, 0);
	struct stat st;
	gw->policies = -1;
	if (gw->spool == -1)
		return;
	gw->policies = open_or_make(gw->spool, name, O_NOFOLLOW, &o);
	if (gw->policies == -1 || fstat(gw->policies, &st) == -1)
		complain_errno("spool %s: %s", gw->conf->spool, name);
	else if (st.st_uid != o.uid || !account_may_write(&st, o.uid, o.gid))
		complain("spool %s: %s is not writable by its user %s",
		    gw->conf->spool, name, o.name);
}

static int
open_base(
    const struct gateway *gw, const struct config *c, const struct action *a)
{
	struct owner o =
	    owner_of(gw, c, ROLE_MAILDIR, config_agent_instance(c, a));
	struct stat st;
	int fd = open_or_make(AT_FDCWD, a->base, 0, &o);
	if (fd == -1 || fstat(fd, &st) == -1) {
		complain_errno("action %s: %s", a->name, a->base);
		return fd;
	}
	if (!account_may_write(&st, o.uid, o.gid))
		complain("action %s: %s is not writable by %s", a->name,
		    a->base, o.name);
	return fd;
}

/* A directory that has no name any more: nobody can make anything in it,
 * whatever its mode. */
static int
open_empty(void)
{
	static const char *const places[] = { "/run/postern.XXXXXX",
		"/tmp/postern.XXXXXX" };
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		char *path = xstrdup(places[i]);
		int fd = -1;
		if (mkdtemp(path) != NULL) {
			fd = open(path,
			    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
			rmdir(path);
		}
		free(path);
		if (fd >= 0 && fchmod(fd, 0555) == 0)
			return fd;
	}
	complain_errno("a directory for chroot");
	return -1;
}

void
basedir_open(struct gateway *gw)
{
	gw->empty_root = open_empty();
	gw->tree = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (gw->tree == -1)
		complain_errno("/");
	open_spool(gw);
	open_policies(gw);
	gw->bases = basedir_open_bases(gw, gw->conf);
}

/* --- of another configuration --- */

static bool
same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* The one that has the same directory now; NULL: none. */
static const struct action *
former(const struct config *now, const struct action *a)
{
	const struct action *b = config_find_action(now, str_of(a->name));
	return b != NULL && b->kind == ACTION_MAILDIR &&
		       same_text(a->base, b->base) &&
		       same_text(a->user, b->user) ?
		   b :
		   NULL;
}

/* A process has all directories of its user. */
static void
check_number(const struct config *c)
{
	unsigned int *n = xcalloc(c->nactions + 1, sizeof(*n));
	for (size_t i = 0; i < c->nactions; i++) {
		const struct action *a = &c->actions[i];
		if (a->kind == ACTION_MAILDIR &&
		    ++n[config_agent_instance(c, a)] == CHILD_DIRS_MAX + 1)
			complain("action %s (line %u): more than %d `maildir' "
				 "of one user",
			    a->name, a->line, CHILD_DIRS_MAX);
	}
	free(n);
}

int *
basedir_open_bases(const struct gateway *gw, const struct config *c)
{
	int *bases = xcalloc(c->nactions + 1, sizeof(int));
	check_number(c);
	for (size_t i = 0; i < c->nactions; i++) {
		const struct action *a = &c->actions[i], *b = NULL;
		bases[i] = -1;
		if (a->kind != ACTION_MAILDIR)
			continue;
		if (gw->bases != NULL)
			b = former(gw->conf, a);
		bases[i] = b != NULL && gw->bases[b->id] != -1 ?
			       fcntl(gw->bases[b->id], F_DUPFD_CLOEXEC, 0) :
			       open_base(gw, c, a);
	}
	return bases;
}

void
basedir_close_bases(int **bases, const struct config *c)
{
	for (size_t i = 0; *bases != NULL && i < c->nactions; i++)
		if ((*bases)[i] != -1)
			close((*bases)[i]);
	free(*bases);
	*bases = NULL;
}
