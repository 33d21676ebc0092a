package websocket

import (
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"syscall"
	"unsafe"
)

// Most connections are idle most of the time: a goroutine for each would cost
// more memory than everything else about it, and waking it more than what it
// does. So a few shards, each one goroutine with an epoll instance of its
// own, read all connections.

// readSize is the size of a shard's read buffer: a burst of small events in
// one system call. Longer frames continue in a buffer of their connection.
const readSize = 64 << 10

// socket is the kernel's side of a connection that a shard reads.
type socket struct {
	shard *shard
	fd    int    // -1 when it has been given back
	armed uint32 // the events that the shard waits for; guarded by the connection's mutex
	gone  bool   // the peer has hung up while the connection was paused; owned by the reader
}

// A shard reads its connections, one goroutine at a time.
type shard struct {
	srv   *Server
	epoll int
	// file is the epoll instance as Go's own poller sees it, so that to wait
	// for events blocks a goroutine and not a thread: a thread that blocks,
	// however shortly, is taken for one that needs watching.
	file    *os.File
	ready   syscall.RawConn
	waker   int // an eventfd, readable when there is something in woken, or to stop
	stopped sync.WaitGroup

	mu       sync.Mutex
	conns    map[int32]*Conn // by descriptor
	woken    []*Conn         // have something to handle that has been read already
	stopping bool
}

// newShards returns as many shards as there are processors.
func newShards(srv *Server) ([]*shard, error) {
	var shards []*shard
	for range runtime.GOMAXPROCS(0) {
		s := &shard{srv: srv, conns: make(map[int32]*Conn), waker: -1}
		shards = append(shards, s)
		if err := s.open(); err != nil {
			for _, s := range shards {
				s.close()
			}
			return nil, err
		}
		s.stopped.Add(1)
	}
	return shards, nil
}

func (s *shard) open() (err error) {
	if s.epoll, err = syscall.EpollCreate1(syscall.EPOLL_CLOEXEC); err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	syscall.SetNonblock(s.epoll, true) // os.NewFile asks for it
	s.file = os.NewFile(uintptr(s.epoll), "epoll")
	if s.ready, err = s.file.SyscallConn(); err != nil {
		return err
	}
	fd, _, errno := syscall.RawSyscall(syscall.SYS_EVENTFD2, 0, syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if errno != 0 {
		return os.NewSyscallError("eventfd2", errno)
	}
	s.waker = int(fd)
	e := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(s.waker)}
	return os.NewSyscallError("epoll_ctl", syscall.EpollCtl(s.epoll, syscall.EPOLL_CTL_ADD, s.waker, &e))
}

// close gives back what open took.
func (s *shard) close() {
	if s.file != nil {
		s.file.Close()
	}
	if s.waker >= 0 {
		syscall.Close(s.waker)
	}
}

// run reads until stop is called.
func (s *shard) run() { newReader(s).run() }

// stop ends the shard and all its connections.
func (s *shard) stop() {
	s.mu.Lock()
	s.stopping = true
	s.mu.Unlock()
	s.signal()
	s.stopped.Wait()
}

// adopt takes the descriptor out of a connection of package net, whose poller
// would look at it too. It reports false when it has none.
func (c *Conn) adopt(nc net.Conn) bool {
	tcp, ok := nc.(*net.TCPConn)
	if !ok || len(c.srv.shards()) == 0 {
		return false
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return false
	}
	var fd uintptr
	errno := syscall.EINVAL
	raw.Control(func(original uintptr) {
		fd, _, errno = syscall.RawSyscall(syscall.SYS_FCNTL, original, syscall.F_DUPFD_CLOEXEC, 0)
	})
	if errno != 0 {
		return false
	}
	nc.Close()
	c.fd = int(fd)
	c.shard = c.srv.nextShard()
	return true
}

// add begins to read a connection.
func (s *shard) add(c *Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.mu.Lock()
	s.conns[int32(c.fd)] = c
	s.mu.Unlock()
	rest := c.rest != nil // not ours to look at once epoll knows the connection
	c.armed = c.interest()
	e := syscall.EpollEvent{Events: c.armed, Fd: int32(c.fd)}
	if err := syscall.EpollCtl(s.epoll, syscall.EPOLL_CTL_ADD, c.fd, &e); err != nil {
		c.abortLocked(&CloseError{Code: StatusAbnormal, Err: os.NewSyscallError("epoll_ctl", err)})
		rest = true
	}
	if rest {
		s.wake(c)
	}
}

// interest returns the events to wait for. The mutex is held.
func (c *Conn) interest() (events uint32) {
	if !c.paused.Load() {
		events = syscall.EPOLLIN
	}
	if c.blocked {
		events |= syscall.EPOLLOUT
	}
	return events
}

// armLocked waits for what the connection now needs.
func (c *Conn) armLocked() {
	if c.nc != nil || !c.started || c.state == stateClosed || c.gone {
		return
	}
	if want := c.interest(); want != c.armed {
		c.armed = want
		e := syscall.EpollEvent{Events: want, Fd: int32(c.fd)}
		syscall.EpollCtl(c.shard.epoll, syscall.EPOLL_CTL_MOD, c.fd, &e)
	}
}

// wake lets the shard handle what it has of a connection.
func (s *shard) wake(c *Conn) {
	s.mu.Lock()
	s.woken = append(s.woken, c)
	first := len(s.woken) == 1
	s.mu.Unlock()
	if first {
		s.signal()
	}
}

func (s *shard) signal() {
	one := [8]byte{1}
	syscall.Write(s.waker, one[:])
}

// shutdown ends both directions of the socket; the shard is told by epoll.
func (c *Conn) shutdown() {
	syscall.Shutdown(c.fd, syscall.SHUT_RDWR)
	if c.gone { // it was taken out of epoll
		c.shard.wake(c)
	}
}

// release gives the descriptor back.
func (c *Conn) release() {
	syscall.Close(c.fd)
	c.fd = -1
}

// The calls below return at once, so Go's scheduler need not be told of them;
// telling it costs as much as a short call itself.

// write writes what the kernel takes without waiting. The mutex is held.
func (c *Conn) write(b []byte) (int, error) {
	for len(b) > 0 {
		n, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, uintptr(c.fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
		switch errno {
		case 0:
			return int(n), nil
		case syscall.EINTR:
		case syscall.EAGAIN:
			return 0, nil
		default:
			return 0, os.NewSyscallError("write", errno)
		}
	}
	return 0, nil
}

// read reads what there is without waiting; 0 bytes without an error is
// nothing yet.
func (c *Conn) read(b []byte) (int, error) {
	for {
		n, _, errno := syscall.RawSyscall(syscall.SYS_READ, uintptr(c.fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
		switch {
		case errno == syscall.EINTR:
		case errno == syscall.EAGAIN:
			return 0, nil
		case errno != 0:
			return 0, os.NewSyscallError("read", errno)
		case n == 0:
			return 0, io.EOF
		default:
			return int(n), nil
		}
	}
}

// events returns the events that there are, without waiting.
func (s *shard) events(into []syscall.EpollEvent) int {
	for {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(s.epoll), uintptr(unsafe.Pointer(&into[0])), uintptr(len(into)), 0, 0, 0)
		switch errno {
		case 0:
			return int(n)
		case syscall.EINTR:
		default:
			panic("websocket: epoll_pwait: " + errno.Error())
		}
	}
}
