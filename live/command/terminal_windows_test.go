package command

import "os"

func notifySize(chan os.Signal) {}
