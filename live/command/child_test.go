package command

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"time"

	"golang.org/x/term"
)

// child is what the test binary does as a command; it returns the exit code.
func child(mode string) int {
	switch mode {
	case "write":
		fmt.Print("one\r\ntwo\x00\xff\nthree")
		fmt.Fprint(os.Stderr, "10%\r50%\rdone\n")
		return 7
	case "prompt":
		fmt.Print("name? ")
		s := bufio.NewScanner(os.Stdin)
		s.Scan()
		fmt.Print("hello " + s.Text())
	case "sleep":
		time.Sleep(time.Minute)
	case "size":
		show := func() {
			c, r, err := term.GetSize(int(os.Stdout.Fd()))
			fmt.Printf("terminal %v %v, %d x %d %v\n", term.IsTerminal(1), term.IsTerminal(2), c, r, err)
		}
		changes := make(chan os.Signal, 1)
		notifySize(changes)
		show()
		select {
		case <-changes:
		case <-time.After(5 * time.Second):
		}
		time.Sleep(50 * time.Millisecond)
		show()
	case "leave":
		// A process that holds the output open for longer than anybody waits.
		self, err := os.Executable()
		if err != nil {
			return 1
		}
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), "COMMAND_TEST=hold")
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if cmd.Start() != nil {
			return 1
		}
		fmt.Println("left", cmd.Process.Pid)
	case "hold":
		signal.Ignore(os.Interrupt)
		time.Sleep(3 * time.Second)
	}
	return 0
}
