//! A connection's bytes, whose arrival and departure its place notes.

use std::io::{Error, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::places::Place;

pub(super) struct Stream<'a> {
    tcp: TokioIo<TcpStream>,
    place: &'a Place,
}

impl<'a> Stream<'a> {
    pub(super) fn new(tcp: TcpStream, place: &'a Place) -> Self {
        Self { tcp: TokioIo::new(tcp), place }
    }

    pub(super) fn into_inner(self) -> TcpStream {
        self.tcp.into_inner()
    }

    fn written(&self, written: Poll<Result<usize, Error>>) -> Poll<Result<usize, Error>> {
        self.place.note_write(written.is_pending());
        written
    }
}

impl Read for Stream<'_> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: ReadBufCursor<'_>) -> Poll<Result<(), Error>> {
        let read = Pin::new(&mut self.tcp).poll_read(cx, buffer);
        if read.is_ready() {
            self.place.note_bytes();
        }
        read
    }
}

impl Write for Stream<'_> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, Error>> {
        let written = Pin::new(&mut self.tcp).poll_write(cx, bytes);
        self.written(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize, Error>> {
        let written = Pin::new(&mut self.tcp).poll_write_vectored(cx, slices);
        self.written(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}
