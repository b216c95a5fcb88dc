package main

import "golang.org/x/sys/windows"

// surfaceLanguages are those that the user sees Windows in, the preferred one
// first.
func surfaceLanguages() []string {
	names, err := windows.GetUserPreferredUILanguages(windows.MUI_LANGUAGE_NAME)
	if err != nil {
		return nil
	}
	return names
}
