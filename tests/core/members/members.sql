-- What old tables are like, and who may read them.

CREATE DATABASE natca CHARACTER SET utf8mb4;
USE natca;

-- May write, so that only the program's own care keeps it from that.
CREATE USER reader@'%' IDENTIFIED BY 'pass wörd €';
GRANT ALL PRIVILEGES ON natca.* TO reader@'%';
CREATE USER stranger@'%' IDENTIFIED BY 'pass wörd €';
CREATE USER encrypted@'%' IDENTIFIED BY 'pass wörd €' REQUIRE SSL;
GRANT SELECT ON natca.* TO encrypted@'%';
CREATE USER half@'%' IDENTIFIED BY 'pass wörd €';

-- All text, even numbers.
CREATE TABLE members (
    membernumber VARCHAR(64),
    firstname VARCHAR(255),
    lastname TEXT,
    email VARCHAR(255),
    phone VARCHAR(64),
    status VARCHAR(32),
    membertypeid VARCHAR(32),
    joined DATE NOT NULL DEFAULT '0000-00-00',
    updated_at TIMESTAMP NOT NULL DEFAULT '0000-00-00 00:00:00'
);
INSERT INTO members (membernumber, firstname, lastname, email, phone, status, membertypeid) VALUES
    ('1009', 'Like', 'Wild', 'aXb%c*d|e\\f@union.example', NULL, 'Active', '6'),
    ('1001', 'Ada', 'Byron', 'ada@union.example', '(202) 555-0143', 'Active', '6'),
    ('1002', 'José', 'Núñez-Øre', ' ADA@Union.Example ', '2025550144', 'Active', '8'),
    ('1003', '李', '小龍 🛩', 'o''brien+x@union.example', '+1 202 555 0145', 'Retired', NULL),
    ('1004', NULL, NULL, NULL, NULL, 'Resigned', NULL),
    ('1005', '  ', '', '', '', 'Active', ''),
    ('1006', 'Robert''); DROP TABLE members;--', '"Q" \\ `B` %s', 'x''or''1''=''1@union.example', 'n/a', 'active', '6'),
    ('1007', 'Per', 'Cent', 'a_b%c*d|e\\f@union.example', '911', 'RETIRED', 'abc'),
    (' 1008 ', 'Tab', 'Line', '\tTab@Union.Example\n', '3125550142', 'Active', NULL),
    (NULL, 'No', 'Number', 'nobody@union.example', NULL, 'Active', '6'),
    ('', 'Blank', 'Number', 'nobody@union.example', NULL, 'Active', '6'),
    ('ab"c', 'Two', 'Addresses', 'ada@union.example; bob@union.example', '0', NULL, '6');
GRANT SELECT (membernumber, firstname) ON natca.members TO half@'%';

-- Numbers where text belongs, bytes where text belongs, another character set, and no transactions.
CREATE TABLE `legacy-members` (
    `member no` INT UNSIGNED,
    first_name CHAR(20),
    last_name VARCHAR(20),
    e_mail VARBINARY(100),
    telephone BIGINT,
    state ENUM('Active', 'Retired', 'Gone'),
    `type$id` TINYINT
) ENGINE=MyISAM CHARACTER SET latin1;
INSERT INTO `legacy-members` VALUES
    (1001, 'José', 'Núñez', 'Jose@Union.Example', 2025550143, 'Active', 6),
    (1002, NULL, NULL, 'not utf-8 \xFF', 0, 'Gone', 7),
    (7, 'Ada', 'Byron', NULL, NULL, 'Retired', NULL);

CREATE TABLE narrow (membernumber INT, firstname TEXT);

-- What tests fill.
CREATE TABLE filled LIKE members;
CREATE TABLE many LIKE members;
