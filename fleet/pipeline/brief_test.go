package pipeline

import (
	"errors"
	"testing"
)

func TestBrief(t *testing.T) {
	for text, want := range map[string]string{
		"job job-001 failed:\nbundle inst008 stage-010 failed:process bundle failed using plan stage-010 : while executing Process for Plan[stage-010]:\n" +
			"1: DataSource[S]\n\tcaused by:\nsource failed processing data\n\tcaused by:\nDoFn[UID:6, PID:e9, Name: x] failed:\nwrite /out/part: no space left on device": "write /out/part: no space left on device",
		"job job-001 failed:\nno worker answers": "no worker answers",
		"the job ended without results":          "the job ended without results",
	} {
		if got := brief(errors.New(text)); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
