package live

import (
	"os/user"
	"strconv"

	"goproxytrace/live/command"
)

// Invoker returns the user who called sudo, nil where nobody did or it was
// root: the command is to run as that user, so that the go command's caches do
// not end up in root's possession.
func Invoker(uid int, getenv func(string) string) *command.User {
	if uid != 0 {
		return nil
	}
	id, err := strconv.ParseUint(getenv("SUDO_UID"), 10, 31)
	if err != nil || id == 0 {
		return nil
	}
	u := &command.User{UID: uint32(id), GID: uint32(id), Name: getenv("SUDO_USER")}
	if gid, err := strconv.ParseUint(getenv("SUDO_GID"), 10, 31); err == nil {
		u.GID = uint32(gid)
	}
	known, err := user.LookupId(strconv.FormatUint(id, 10))
	if err != nil {
		return u
	}
	u.Name, u.Home = known.Username, known.HomeDir
	groups, _ := known.GroupIds() // without them, the user's own group remains
	for _, g := range groups {
		if n, err := strconv.ParseUint(g, 10, 31); err == nil {
			u.Groups = append(u.Groups, uint32(n))
		}
	}
	return u
}
