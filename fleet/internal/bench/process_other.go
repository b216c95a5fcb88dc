//go:build !linux

package main

import "os"

func maxRSS(*os.ProcessState) int64 { return 0 }

func workersOf(int) []int { return nil }
