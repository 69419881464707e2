#include "posternd/account.h"

#include <grp.h>
#include <pwd.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "posternd/complain.h"

int
account_user(const char *name, const char *what, uid_t *uid, gid_t *gid)
{
	const struct passwd *pw = getpwnam(name);
	if (pw == NULL) {
		complain("user %s (of %s) does not exist", name, what);
		return -1;
	}
	if (pw->pw_uid == 0 || pw->pw_gid == 0) {
		complain("user %s (of %s) has the rights of root", name, what);
		return -1;
	}
	*uid = pw->pw_uid;
	*gid = pw->pw_gid;
	return 0;
}

uint32_t
account_group(const char *name, const char *what)
{
	if (name == NULL)
		return UINT32_MAX;
	const struct group *gr = getgrnam(name);
	if (gr == NULL) {
		complain("group %s (of %s) does not exist", name, what);
		return UINT32_MAX;
	}
	return gr->gr_gid;
}

size_t
account_groups(const char *names, const char *what, uint32_t *gids, size_t max)
{
	char *copy = xstrdup(names == NULL ? "" : names), *rest = copy, *name;
	size_t n = 0;
	while ((name = strsep(&rest, " ")) != NULL) {
		if (name[0] == '\0' || n == max)
			continue;
		gids[n] = account_group(name, what);
		if (gids[n] == 0)
			complain("group %s (of %s) is root's", name, what);
		n++;
	}
	free(copy);
	return n;
}

int
account_may_write(const struct stat *dir, uid_t uid, gid_t gid)
{
	mode_t need = S_IWOTH | S_IXOTH;
	if (dir->st_uid == uid)
		need = S_IWUSR | S_IXUSR;
	else if (dir->st_gid == gid)
		need = S_IWGRP | S_IXGRP;
	return (dir->st_mode & need) == need;
}
