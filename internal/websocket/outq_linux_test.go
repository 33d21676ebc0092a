package websocket

import (
	"syscall"
	"unsafe"
)

// outq returns the bytes that the peer of a socket has not acknowledged.
func outq(fd int) (int, error) {
	var n int32
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), syscall.TIOCOUTQ, uintptr(unsafe.Pointer(&n))); errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
