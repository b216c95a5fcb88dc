package diagnose

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"goproxytrace/capture"
	"goproxytrace/capture/pcapfile"
)

func TestDev(t *testing.T) {
	files, _ := filepath.Glob(os.Getenv("DEVGLOB"))
	sort.Strings(files)
	for _, f := range files {
		if strings.Contains(f, ".server.") {
			continue
		}
		r, err := pcapfile.Open(f)
		if err != nil {
			t.Log(f, err)
			continue
		}
		p := newPipe(t)
		p.targets = []string{"proxy.golang.org", "sum.golang.org", "goproxy.cn"}
		var b capture.Batch
		for r.Read(&b) == nil {
			for i := range b.Packets {
				p.packet(&b.Packets[i])
			}
		}
		end := int64(0)
		for _, in := range r.Info().Interfaces {
			e := in.End
			if e != 0 && e < p.env.Start {
				e *= 1000
			}
			end = max(end, e)
		}
		v := p.finish(end)
		r.Close()
		fmt.Printf("%-50s %s %v %s %v\n", filepath.Base(f), v.Class, v.Place, v.Level, v.Notes)
		if os.Getenv("DEVV") != "" {
			for _, j := range p.judged {
				fmt.Printf("    %d %s %s %v %s %v %v\n", j.id, j.name, j.v.Class, j.v.Place, j.v.Level, j.v.Notes, j.v.NotAssessed)
				for _, e := range j.v.Evidence {
					fmt.Printf("        %s %v %v\n", e.ID, e.Values, e.Frames)
				}
			}
		}
	}
}
