//go:build race

package websocket

import "syscall"

// The race detector knows what package syscall reads and writes, and that what
// was written happened before it is read.

func rawRead(fd int, b []byte) (int, syscall.Errno) { return result(syscall.Read(fd, b)) }

func rawWrite(fd int, b []byte) (int, syscall.Errno) { return result(syscall.Write(fd, b)) }

func rawEvents(epoll int, into []syscall.EpollEvent) (int, syscall.Errno) {
	return result(syscall.EpollWait(epoll, into, 0))
}

func result(n int, err error) (int, syscall.Errno) {
	errno, _ := err.(syscall.Errno)
	return n, errno
}
