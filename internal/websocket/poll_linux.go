package websocket

import (
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"syscall"
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
	shard  *shard
	fd     int    // -1 when it has been given back
	armed  uint32 // the events that the shard waits for; guarded by the connection's mutex
	queued bool   // in woken; guarded by the shard's mutex
	serial int32  // tells the connection from others that had its descriptor
	gone   bool   // the peer has hung up while the connection was paused; owned by the reader
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
	serial   int32           // of the latest connection
	stopping bool
	over     bool // epoll and waker have been closed
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
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
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
	rest := c.rest != nil // not ours to look at once epoll knows the connection
	if err := s.register(c); err != nil {
		c.ended(closeError(err))
		c.mu.Lock()
		c.release()
		c.mu.Unlock()
		return
	}
	if rest {
		s.wake(c)
	}
}

func (s *shard) register(c *Conn) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || c.state == stateClosed {
		return ErrClosed
	}
	s.serial++
	c.serial = s.serial
	c.armed = c.interest()
	if err := s.control(syscall.EPOLL_CTL_ADD, c); err != nil {
		return err
	}
	s.conns[int32(c.fd)] = c
	return nil
}

// control tells epoll what a connection waits for.
func (s *shard) control(op int, c *Conn) error {
	e := syscall.EpollEvent{Events: c.armed, Fd: int32(c.fd), Pad: c.serial}
	return os.NewSyscallError("epoll_ctl", syscall.EpollCtl(s.epoll, op, c.fd, &e))
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
	want := c.interest()
	if want == c.armed {
		return
	}
	c.armed = want
	c.shard.mu.Lock()
	defer c.shard.mu.Unlock()
	if !c.shard.over {
		c.shard.control(syscall.EPOLL_CTL_MOD, c)
	}
}

// wake lets the shard handle what it has of a connection.
func (s *shard) wake(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.queued || s.over {
		return
	}
	c.queued = true
	s.woken = append(s.woken, c)
	if len(s.woken) == 1 {
		s.signalLocked()
	}
}

// signal makes the shard look at woken. The number of the descriptor must not
// belong to somebody else by now, so the mutex is held.
func (s *shard) signal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.signalLocked()
}

func (s *shard) signalLocked() {
	if !s.over {
		one := [8]byte{1}
		syscall.Write(s.waker, one[:])
	}
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
	if c.fd >= 0 {
		syscall.Close(c.fd)
		c.fd = -1
	}
}

// write writes what the kernel takes without waiting. The mutex is held.
func (c *Conn) write(b []byte) (int, error) {
	for len(b) > 0 {
		n, errno := rawWrite(c.fd, b)
		switch errno {
		case 0:
			return n, nil
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
		n, errno := rawRead(c.fd, b)
		switch {
		case errno == syscall.EINTR:
		case errno == syscall.EAGAIN:
			return 0, nil
		case errno != 0:
			return 0, os.NewSyscallError("read", errno)
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

// events returns the events that there are, without waiting.
func (s *shard) events(into []syscall.EpollEvent) int {
	for {
		n, errno := rawEvents(s.epoll, into)
		switch errno {
		case 0:
			return n
		case syscall.EINTR:
		default:
			panic("websocket: epoll_pwait: " + errno.Error())
		}
	}
}
