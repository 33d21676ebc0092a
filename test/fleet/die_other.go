//go:build !linux

package fleet

import "syscall"

func diesWithParent() *syscall.SysProcAttr { return nil }
