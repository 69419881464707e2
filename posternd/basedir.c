#include "posternd/basedir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/rules/instance.h"
#include "posternd/account.h"
#include "posternd/complain.h"

/* Whose directory it is to be. */
struct owner {
	const char *name;
	uid_t uid;
	gid_t gid;
};

/* The process of a role, for its user; NULL when there is none. */
static const struct process *
find(const struct gateway *gw, enum role role, uint16_t instance)
{
	for (size_t i = 0; i < gw->nprocesses; i++)
		if (gw->processes[i].def->role == role &&
		    gw->processes[i].instance == instance)
			return &gw->processes[i];
	return NULL;
}

static struct owner
owner_of(const struct gateway *gw, enum role role, uint16_t instance)
{
	const struct process *p = find(gw, role, instance);
	struct owner o = { "us", geteuid(), getegid() };
	if (gw->as_root && p != NULL) {
		o.name = p->def->user(gw->conf, instance);
		o.uid = p->uid;
		o.gid = p->gid;
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
	struct owner o = owner_of(gw, ROLE_QUEUE, 0);
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
	struct owner o = owner_of(gw, ROLE_FETCH, 0);
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
open_base(const struct gateway *gw, const struct action *a)
{
	struct owner o =
	    owner_of(gw, ROLE_MAILDIR, config_agent_instance(gw->conf, a));
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
	gw->bases = xcalloc(gw->conf->nactions, sizeof(int));
	for (size_t i = 0; i < gw->conf->nactions; i++) {
		const struct action *a = &gw->conf->actions[i];
		gw->bases[i] =
		    a->kind == ACTION_MAILDIR ? open_base(gw, a) : -1;
	}
}
